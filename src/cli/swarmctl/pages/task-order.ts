import { msFromTimestamp, type Task } from '../../../api/index.js';

/** Order of tasks in tables: service, slot, node of global services, the newest first. */
export function compareTasks(a: Task, b: Task): number {
  return (
    compareTexts(a.serviceAnnotations?.name ?? '', b.serviceAnnotations?.name ?? '') ||
    compareTexts(a.serviceId, b.serviceId) ||
    Number(a.slot - b.slot) ||
    (a.slot === 0n ? compareTexts(a.nodeId, b.nodeId) : 0) ||
    msFromTimestamp(b.meta?.createdAt) - msFromTimestamp(a.meta?.createdAt) ||
    compareTexts(a.id, b.id)
  );
}

/** Order of texts by their code points, the same on every machine. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
