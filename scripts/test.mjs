// Runs every test that this machine can run: `npm test`, or `npm test -- unit|e2e [vitest options]`.
// As root on Debian or Ubuntu it first installs what the end-to-end tests need.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const PROJECTS = ['unit', 'e2e'];

/** Debian packages of the end-to-end tests, and a file by which each is recognised. */
const PACKAGES = [
  ['docker.io', '/usr/sbin/dockerd'],
  ['iptables', '/usr/sbin/iptables'],
  ['busybox-static', '/bin/busybox'],
  ['iproute2', '/sbin/ip'],
];

const given = process.argv.slice(2);
const projects = PROJECTS.includes(given[0]) ? [given.shift()] : PROJECTS;
if (projects.includes('e2e')) installSystemPackages();
process.exitCode = runTests();

function runTests() {
  const directory = mkdtempSync(`${tmpdir()}/swarmkit-ts-test-`);
  const report = `${directory}/report.json`;
  try {
    const { status } = spawnSync(
      `${root}node_modules/.bin/vitest`,
      [
        'run',
        ...projects.flatMap((project) => ['--project', project]),
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
        ...given,
      ],
      { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
    );
    return summarize(report, status ?? 1);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Prints the true totals as the last line; in CI a skipped end-to-end test is a failure. */
function summarize(report, status) {
  if (!existsSync(report)) {
    process.stdout.write('\n0 passed, 1 failed, 0 skipped\n');
    return 1;
  }
  const { testResults, numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const skipped = numPendingTests + numTodoTests;
  const brokenFiles = testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  );
  for (const file of brokenFiles) process.stdout.write(`failed to run: ${file.name}\n`);
  const skippedInCi = process.env.CI === 'true' ? skippedEndToEnd(testResults) : [];
  for (const name of skippedInCi) process.stdout.write(`skipped, which CI does not allow: ${name}\n`);
  const failed = numFailedTests + brokenFiles.length + skippedInCi.length;
  process.stdout.write(`\n${numPassedTests} passed, ${failed} failed, ${skipped - skippedInCi.length} skipped\n`);
  return failed > 0 || status !== 0 || numPassedTests === 0 ? 1 : 0;
}

function skippedEndToEnd(testResults) {
  return testResults
    .filter((file) => file.name.includes('/test/'))
    .flatMap((file) => file.assertionResults.filter((test) => ['pending', 'skipped', 'todo'].includes(test.status)))
    .map((test) => test.fullName);
}

function installSystemPackages() {
  const missing = PACKAGES.filter(([, file]) => !existsSync(file)).map(([name]) => name);
  if (missing.length === 0) return;
  const why = reasonNotToInstall();
  if (why !== undefined) {
    process.stdout.write(`end-to-end tests that need ${missing.join(', ')} will be skipped: ${why}\n`);
    return;
  }
  process.stdout.write(
    `installing ${missing.join(', ')} for the end-to-end tests, without starting any service (SKIP_SYSTEM_PACKAGES=1 prevents this)\n`,
  );
  const release = forbidServices();
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
    spawnSync('apt-get', ['-qq', 'update'], quiet);
    const { status } = spawnSync('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...missing], quiet);
    if (status !== 0)
      process.stdout.write('the packages could not be installed: tests that need them will be skipped\n');
  } finally {
    release();
  }
}

function reasonNotToInstall() {
  if (process.env.SKIP_SYSTEM_PACKAGES === '1') return 'SKIP_SYSTEM_PACKAGES=1 is set';
  if (process.getuid?.() !== 0) return 'they can only be installed by root';
  if (!existsSync('/usr/bin/apt-get')) return 'this is neither Debian nor Ubuntu';
  return undefined;
}

/** Debian asks this file whether a freshly installed service may start. */
function forbidServices() {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return () => undefined;
  writeFileSync(policy, '#!/bin/sh\nexit 101\n');
  chmodSync(policy, 0o755);
  return () => rmSync(policy, { force: true });
}
