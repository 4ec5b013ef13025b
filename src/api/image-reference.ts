import { Code, SwarmError } from '../base/index.js';

/** An image name taken apart, with Docker's defaults filled in. */
export interface ImageReference {
  /** Registry, `host` or `host:port`; `docker.io` where the text names none. */
  readonly domain: string;
  /** Repository within the registry; `library/x` for Docker's official images. */
  readonly path: string;
  /** Undefined where the text gives none. */
  readonly tag: string | undefined;
  /** `algorithm:hex`; undefined where the text gives none. */
  readonly digest: string | undefined;
}

const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io';
const OFFICIAL_PREFIX = 'library/';

/** Longest repository path, in characters. Source: the distribution reference grammar. */
const PATH_LENGTH_MAX = 255;

/** Hex digits of each digest algorithm in use. Source: OCI image specification. */
const DIGEST_LENGTHS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

const IDENTIFIER = /^[a-f0-9]{64}$/;
const DOMAIN_COMPONENT = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const DOMAIN = new RegExp(`^(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;

/**
 * Parses an image name as Docker does (`[domain/]path[:tag][@digest]`), by the grammar of the
 * distribution project with Docker's short forms.
 * @throws SwarmError InvalidArgument.
 */
export function parseImageReference(text: string): ImageReference {
  if (IDENTIFIER.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const { domain, rest } = splitDomain(text);
  const [named, digest] = cut(rest, '@');
  const [path, tag] = cut(named, ':');
  if (path.toLowerCase() !== path) {
    throw invalid(`invalid reference format: repository name (${path}) must be lowercase`);
  }
  const valid =
    DOMAIN.test(domain) &&
    path.split('/').every((component) => PATH_COMPONENT.test(component)) &&
    (tag === undefined || TAG.test(tag)) &&
    (digest === undefined || isDigest(digest));
  if (!valid) throw invalid('invalid reference format');
  if (path.length > PATH_LENGTH_MAX) {
    throw invalid(`repository name must not be more than ${PATH_LENGTH_MAX} characters`);
  }
  return { domain, path, tag, digest };
}

/** The first component is a registry only if it looks like one: a dot, a port, capitals, or localhost. */
function splitDomain(text: string): { readonly domain: string; readonly rest: string } {
  const [first, remainder] = cut(text, '/');
  if (remainder === undefined || !looksLikeDomain(first)) {
    return { domain: DEFAULT_DOMAIN, rest: official(text) };
  }
  if (first === DEFAULT_DOMAIN || first === LEGACY_DEFAULT_DOMAIN) {
    return { domain: DEFAULT_DOMAIN, rest: official(remainder) };
  }
  return { domain: first, rest: remainder };
}

function looksLikeDomain(component: string): boolean {
  return component === 'localhost' || /[.:]/.test(component) || component.toLowerCase() !== component;
}

function official(rest: string): string {
  return rest.includes('/') ? rest : OFFICIAL_PREFIX + rest;
}

function isDigest(digest: string): boolean {
  const [algorithm, hex] = cut(digest, ':');
  return hex?.length === DIGEST_LENGTHS.get(algorithm) && /^[a-f0-9]+$/.test(hex ?? '');
}

/** The text before and after the first separator; no second part where there is none. */
function cut(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function invalid(message: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, message);
}
