import { randomInt, type Random } from '../../base/index.js';

const ADJECTIVES = [
  'amber',
  'brave',
  'bright',
  'calm',
  'clever',
  'crisp',
  'eager',
  'fair',
  'gentle',
  'happy',
  'honest',
  'keen',
  'kind',
  'lively',
  'lucid',
  'merry',
  'modest',
  'noble',
  'patient',
  'proud',
  'quick',
  'quiet',
  'sharp',
  'steady',
  'sunny',
  'swift',
  'tidy',
  'vivid',
  'warm',
  'wise',
] as const;

const SURNAMES = [
  'babbage',
  'bohr',
  'boole',
  'brahe',
  'curie',
  'darwin',
  'dijkstra',
  'einstein',
  'euler',
  'faraday',
  'fermi',
  'feynman',
  'franklin',
  'galileo',
  'gauss',
  'goodall',
  'hamilton',
  'hawking',
  'hertz',
  'hopper',
  'kepler',
  'knuth',
  'lamport',
  'liskov',
  'lovelace',
  'meitner',
  'newton',
  'noether',
  'pascal',
  'turing',
] as const;

/** A name for a service that was given none: an adjective and a scientist. */
export function randomName(random: Random): string {
  const adjective = ADJECTIVES[randomInt(random, ADJECTIVES.length)];
  const surname = SURNAMES[randomInt(random, SURNAMES.length)];
  return `${adjective}_${surname}`;
}
