import { constants } from 'node:os';

import { Code, SwarmError } from '../../base/index.js';

/** First and last real-time signal, as C libraries number them on Linux. */
const RTMIN = 34;
const RTMAX = 64;

/** The number of a signal given as `SIGINT`, `INT`, `2` or `SIGRTMIN+3`; SIGTERM when none is given. */
export function stopSignal(text: string): number {
  if (text === '') return constants.signals.SIGTERM;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const number = /^\d{1,2}$/.test(name) ? Number(name) : (numberOf(name) ?? 0);
  if (number >= 1 && number <= RTMAX) return number;
  throw new SwarmError(Code.INVALID_ARGUMENT, `stop_signal: invalid signal ${JSON.stringify(text)}`);
}

function numberOf(name: string): number | undefined {
  const realTime = /^(RTMIN\+|RTMAX-)(\d{1,2})$/.exec(name);
  if (realTime !== null) {
    const offset = Number(realTime[2]);
    const number = realTime[1] === 'RTMIN+' ? RTMIN + offset : RTMAX - offset;
    return number >= RTMIN && number <= RTMAX ? number : undefined;
  }
  if (name === 'RTMIN') return RTMIN;
  if (name === 'RTMAX') return RTMAX;
  return Object.entries(constants.signals).find(([key]) => key === `SIG${name}`)?.[1];
}
