/** Texts of the local node that clients show or match on (engine-api E-310, E-321, E-341, E-35x). */
export const TEXTS = {
  noSwarm:
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  noControl: 'This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.',
  worker:
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
  locked:
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
  certificatesExpired: 'Swarm certificates have expired. To replace them, leave the swarm and join again.',
  alreadyInSwarm:
    'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
  wrongName: 'swarm spec must be named "default"',
  notInSwarm: 'This node is not part of a swarm',
  joinTimeout:
    'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.',
  lockedLeave: 'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.',
  managerLeave: 'You are attempting to leave the swarm on a node that is participating as a manager. ',
  lastManager:
    'Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ',
  mayLoseConsensus: 'Doing so may lose the consensus of your cluster. ',
  restoreHint:
    'The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.',
  notLocked: 'swarm is not locked',
  invalidKeyString: 'invalid key string',
  invalidKey: 'swarm could not be unlocked: invalid key provided',
  remoteNeeded: 'at least 1 RemoteAddr is required to join',
} as const;

/** What a manager without quorum would leave behind (E-352). */
export function quorumLossText(left: number, members: number): string {
  return `Removing this node leaves ${left} managers out of ${members}. Without a Raft quorum your swarm will be inaccessible. `;
}
