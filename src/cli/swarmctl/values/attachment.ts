import { badValue } from '../usage-error.js';

/** A secret or config that a service gets, and the file it becomes. */
export interface Attachment {
  readonly name: string;
  readonly target: string;
}

/** Reads `NAME[:TARGET]`; the target is the name where none is given. */
export function parseAttachment(flag: string, text: string): Attachment {
  const [name = '', target = name, ...more] = text.split(':').map((part) => part.trim());
  if (name === '' || target === '' || more.length > 0) {
    throw badValue(flag, text, 'write name[:file], such as password:db-password');
  }
  return { name, target };
}
