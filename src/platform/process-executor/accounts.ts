import { Code, SwarmError } from '../../base/index.js';

/** As whom a process runs. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  /** Additional groups, sorted. */
  readonly groups: readonly number[];
  readonly home: string;
}

/** The texts of the machine's account files. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

interface UserEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * The account for `user[:group]` plus additional groups, each a name or a number. A number that no file
 * knows is taken as it is; a name must be known. Without a group the user's own groups count.
 * @throws SwarmError InvalidArgument.
 */
export function resolveAccount(user: string, groups: readonly string[], files: AccountFiles): Account {
  const [userText = '', groupText] = user.split(':', 2);
  const users = parseUsers(files.passwd);
  const known = parseGroups(files.group);
  const entry = users.find(({ name }) => name === userText) ?? users.find(({ uid }) => String(uid) === userText);
  const uid = entry?.uid ?? numberOf(userText, 'user');
  const named = groupText === undefined || groupText === '' ? undefined : groupId(groupText, 'user', known);
  const own =
    entry === undefined || named !== undefined
      ? []
      : known.filter(({ members }) => members.includes(entry.name)).map(({ gid }) => gid);
  const additional = groups.map((group) => groupId(group, 'groups', known));
  return {
    uid,
    gid: named ?? entry?.gid ?? 0,
    groups: [...new Set([...own, ...additional])].sort((a, b) => a - b),
    home: entry?.home || '/',
  };
}

function parseUsers(text: string): readonly UserEntry[] {
  return rows(text).flatMap(([name, , uid, gid, , home]) =>
    name === undefined || !isNumber(uid) || !isNumber(gid)
      ? []
      : [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }],
  );
}

function parseGroups(text: string): readonly GroupEntry[] {
  return rows(text).flatMap(([name, , gid, members]) =>
    name === undefined || !isNumber(gid) ? [] : [{ name, gid: Number(gid), members: (members ?? '').split(',') }],
  );
}

function rows(text: string): readonly (readonly string[])[] {
  return text.split('\n').map((line) => line.split(':'));
}

function groupId(text: string, field: string, known: readonly GroupEntry[]): number {
  return known.find(({ name }) => name === text)?.gid ?? numberOf(text, field);
}

function numberOf(text: string, field: string): number {
  if (isNumber(text)) return Number(text);
  throw new SwarmError(
    Code.INVALID_ARGUMENT,
    `${field}: unable to find ${JSON.stringify(text)} among the accounts of this machine`,
  );
}

/** Ids are 32 bits; the highest means "none". */
function isNumber(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1;
}
