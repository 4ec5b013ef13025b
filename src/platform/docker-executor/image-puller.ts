import { parseImageReference } from '../../api/index.js';
import type { ContainerSpec } from '../../api/index.js';
import { Code, SwarmError, isSwarmError } from '../../base/index.js';
import { jsonMessages, type DockerClient } from '../docker-client/index.js';
import { isImageId } from './container-config.js';

/** A message about the progress of a pull. */
interface PullMessage {
  readonly error?: string;
}

/** Pulls a task's image unless it is named by an id, or by a digest that the engine already has. */
export async function pullImage(client: DockerClient, container: ContainerSpec, signal: AbortSignal): Promise<void> {
  const { image } = container;
  if (isImageId(image)) return;
  const { domain, path, tag, digest } = parseImageReference(image);
  if (digest !== undefined && (await isPresent(client, image, signal))) return;
  const auth = container.pullOptions?.registryAuth ?? '';
  const chunks = client.stream(
    {
      method: 'POST',
      path: '/images/create',
      query: { fromImage: `${domain}/${path}`, tag: digest ?? tag ?? 'latest' },
      ...(auth === '' ? {} : { headers: { 'X-Registry-Auth': auth } }),
    },
    signal,
  );
  for await (const { error } of jsonMessages<PullMessage>(chunks)) {
    if (error !== undefined) throw new SwarmError(Code.UNKNOWN, error);
  }
}

async function isPresent(client: DockerClient, image: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.json({ method: 'GET', path: `/images/${encodeURIComponent(image)}/json` }, signal);
    return true;
  } catch (error) {
    if (isSwarmError(error, Code.NOT_FOUND)) return false;
    throw error;
  }
}
