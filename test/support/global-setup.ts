import { rmSync } from 'node:fs';

import { isClean, remainsOf, runDirectory, sweep } from './scratch.js';

/** Makes the run's directory, and after the run ends whatever tests have left behind in spite of everything. */
export default function setup(): () => void {
  const directory = runDirectory();
  return () => {
    const remains = remainsOf(directory);
    if (!isClean(remains)) process.stderr.write(`left behind and removed: ${JSON.stringify(remains, undefined, 2)}\n`);
    sweep(directory);
    rmSync(directory, { recursive: true, force: true });
  };
}
