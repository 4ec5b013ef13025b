import { isShellName } from './environment.js';

/** Signals that the supervising shell survives: all but KILL, CHLD, STOP and the two of the C library. */
const TRAPPED = Array.from({ length: 64 }, (_, index) => index + 1).filter(
  (signal) => ![9, 17, 19, 32, 33].includes(signal),
);

/** What the supervising shell of a task is to do. */
export interface RunPlan {
  /** Program and arguments, the program as an absolute path. */
  readonly command: readonly string[];
  readonly dir: string;
  /** Programs that set rights and limits and then run what follows; each with its arguments. */
  readonly launchers: readonly string[];
  /** The whole environment; the shell gets it from its parent and hands it on. */
  readonly environment: Readonly<Record<string, string>>;
  /** Files by which a process enters its control groups. */
  readonly cgroupFiles: readonly string[];
  readonly oomScoreAdj: number;
}

/** Files that the script writes. */
export interface RunFiles {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: string;
  readonly main: string;
}

/**
 * The supervisor of one task, as a POSIX shell script. It runs as leader of its own session, so that it
 * outlives the agent; begins when it reads a line (end of file: the agent is gone, nothing happens);
 * tells the process id of the task on its standard output; writes the exit code down; and at last kills
 * what the task has left behind in its process group, itself included.
 */
export function runScript(plan: RunPlan, files: RunFiles): string {
  return `trap : ${TRAPPED.join(' ')}
read -r go || exit 0
(
exec 3>&1 </dev/null >>${quote(files.stdout)} 2>>${quote(files.stderr)}
${enter(plan)}
[ ${plan.oomScoreAdj} = 0 ] || echo ${plan.oomScoreAdj} >/proc/self/oom_score_adj
read -r pid rest </proc/self/stat
echo "$pid" >${quote(files.main)}
echo "$pid" >&3
exec 3>&-
unset go pid rest OLDPWD
exec ${commandLine(plan)}
)
echo "$?" >${quote(files.exit)}
kill -9 0
`;
}

/** Runs another command where and as the task runs: its health check. */
export function probeScript(plan: RunPlan): string {
  return `${enter(plan)}
exec ${commandLine(plan)} </dev/null
`;
}

function enter({ cgroupFiles, dir }: RunPlan): string {
  return [...cgroupFiles.map((file) => `echo 0 >${quote(file)}`), 'umask 022', `cd ${quote(dir)} || exit 126`].join(
    '\n',
  );
}

/** Shells drop variables whose names they cannot spell, so env(1) brings those. */
function commandLine({ launchers, environment, command }: RunPlan): string {
  const odd = Object.entries(environment).filter(([name]) => !isShellName(name));
  const env = odd.length === 0 ? [] : ['/usr/bin/env', ...odd.map(([name, value]) => `${name}=${value}`)];
  return [...launchers, ...env, ...command].map(quote).join(' ');
}

/** Text as one word of a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
