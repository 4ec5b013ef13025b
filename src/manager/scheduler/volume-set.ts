import { create } from '@bufbuild/protobuf';

import {
  VolumeAccessMode_Scope,
  VolumeAccessMode_Sharing,
  VolumeAttachmentSchema,
  VolumeSpec_VolumeAvailability,
  type Mount,
  type Node,
  type Task,
  type Topology,
  type Volume,
  type VolumeAttachment,
} from '../../api/index.js';

/** A mount source that names a group of volumes instead of one. */
const GROUP = 'group:';

/** How one task uses a volume. */
interface Usage {
  readonly nodeId: string;
  readonly readOnly: boolean;
}

interface VolumeInfo {
  volume: Volume;
  readonly usages: Map<string, Usage>;
}

/** The cluster volumes that exist at their storage, and which tasks use them where. */
export class VolumeSet {
  readonly #volumes = new Map<string, VolumeInfo>();

  get size(): number {
    return this.#volumes.size;
  }

  /** Takes the volume as it is now. One that its driver has not made yet is left out. */
  update(volume: Volume): void {
    if ((volume.volumeInfo?.volumeId ?? '') === '') return;
    const known = this.#volumes.get(volume.id);
    if (known === undefined) this.#volumes.set(volume.id, { volume, usages: new Map() });
    else known.volume = volume;
  }

  remove(volumeId: string): void {
    this.#volumes.delete(volumeId);
  }

  /** Notes what the task uses on its node. */
  reserve(task: Task): void {
    if (task.volumes.length === 0) return;
    const mounts = task.spec?.runtime.case === 'container' ? task.spec.runtime.value.mounts : [];
    for (const { id, source, target } of task.volumes) {
      const mount = mounts.find((each) => each.source === source && each.target === target);
      this.#volumes.get(id)?.usages.set(task.id, { nodeId: task.nodeId, readOnly: mount?.readonly ?? false });
    }
  }

  release(task: Task): void {
    for (const { id } of task.volumes) this.#volumes.get(id)?.usages.delete(task.id);
  }

  /** A volume for each mount, all of them usable on the node together; undefined where there is none. */
  choose(mounts: readonly Mount[], node: Node): readonly VolumeAttachment[] | undefined {
    const chosen: VolumeAttachment[] = [];
    for (const mount of mounts) {
      const taken = new Set(chosen.map((attachment) => attachment.id));
      const id = this.#candidates(mount).find((candidate) =>
        this.#isUsable(candidate, mount, node, taken.has(candidate.volume.id)),
      )?.volume.id;
      if (id === undefined) return undefined;
      chosen.push(create(VolumeAttachmentSchema, { id, source: mount.source, target: mount.target }));
    }
    return chosen;
  }

  #candidates(mount: Mount): readonly VolumeInfo[] {
    const all = [...this.#volumes.values()];
    if (!mount.source.startsWith(GROUP)) {
      return all.filter(({ volume }) => volume.spec?.annotations?.name === mount.source);
    }
    const group = mount.source.slice(GROUP.length);
    const members = all.filter(({ volume }) => volume.spec?.group === group);
    // Volumes of a group share the tasks among them.
    return members.sort((a, b) => a.usages.size - b.usages.size || (a.volume.id < b.volume.id ? -1 : 1));
  }

  #isUsable({ volume, usages }: VolumeInfo, mount: Mount, node: Node, takenByTask: boolean): boolean {
    if (volume.spec?.availability !== VolumeSpec_VolumeAvailability.ACTIVE) return false;
    const plugin = node.description?.csiInfo.find((each) => each.pluginName === volume.spec?.driver?.name);
    if (plugin === undefined) return false;
    if (!liesWithin(plugin.accessibleTopology, volume.volumeInfo?.accessibleTopology ?? [])) return false;
    const others = [...usages.values()];
    const mode = volume.spec.accessMode;
    const singleNode = (mode?.scope ?? VolumeAccessMode_Scope.SINGLE_NODE) === VolumeAccessMode_Scope.SINGLE_NODE;
    if (singleNode && others.some((usage) => usage.nodeId !== node.id)) return false;
    switch (mode?.sharing ?? VolumeAccessMode_Sharing.NONE) {
      case VolumeAccessMode_Sharing.NONE:
        return others.length === 0 && !takenByTask;
      case VolumeAccessMode_Sharing.READ_ONLY:
        return mount.readonly;
      case VolumeAccessMode_Sharing.ONE_WRITER:
        return mount.readonly || !others.some((usage) => !usage.readOnly);
      case VolumeAccessMode_Sharing.ALL:
        return true;
    }
  }
}

/** Whether a node of this topology reaches a volume that is reached from any of these; unknown ones reach all. */
export function liesWithin(topology: Topology | undefined, accessible: readonly Topology[]): boolean {
  if (topology === undefined || accessible.length === 0) return true;
  return accessible.some(({ segments }) =>
    Object.entries(segments).every(([domain, segment]) => topology.segments[domain] === segment),
  );
}
