// Writes .oxlintrc.json from the layer table in docs/architecture.md; with --check, only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = `${root}.oxlintrc.json`;

/** Rows of the layer table: [{ row, folder }], folders without the leading `src/`. */
function readLayers() {
  const text = readFileSync(`${root}docs/architecture.md`, 'utf8');
  const layers = [...text.matchAll(/^\| (\d+) \| `src\/([\w/-]+)` \|/gm)].map((m) => ({
    row: Number(m[1]),
    folder: m[2],
  }));
  if (layers.length < 10) throw new Error('docs/architecture.md: the layer table was not found');
  return layers;
}

/** A pattern for relative imports that reach into `folder` from `from`. */
function importsOf(folder, from) {
  const [top, component] = folder.split('/');
  if (component !== undefined && from.startsWith(`${top}/`)) return `^(\\.\\./)+${component}/`;
  if (component !== undefined) return `^(\\.\\./)+${top}/${component}/`;
  if (from.startsWith(`${top}/`)) return '^\\.\\./(\\.\\./)*[\\w-]+\\.js$';
  return `^(\\.\\./)+${top}/`;
}

function overrides(layers) {
  return layers.flatMap((layer) => {
    const { row, folder } = layer;
    const nested = layers
      .filter((other) => other.folder.startsWith(`${folder}/`))
      .map((other) => `src/${other.folder}/**`);
    const patterns = layers
      .filter((other) => other.folder !== folder && other.row >= row && !folder.startsWith(`${other.folder}/`))
      .map((other) => forbidden(importsOf(other.folder, folder), layer, other));
    const parent = layers.find((other) => other.row >= row && folder.startsWith(`${other.folder}/`));
    const own = rule([`src/${folder}/**/*.ts`], patterns, nested);
    if (parent === undefined) return [own];
    // Files that stand directly in a component's folder reach their parent's files by one step up.
    const up = forbidden('^\\.\\./[\\w-]+\\.js$', layer, parent);
    return [own, rule([`src/${folder}/*.ts`], [...patterns, up], nested)];
  });
}

function forbidden(regex, layer, other) {
  const message = `src/${layer.folder} (row ${layer.row}) may not import src/${other.folder} (row ${other.row}): see docs/architecture.md`;
  return { regex, message };
}

function rule(files, patterns, nested) {
  return {
    files,
    excludeFiles: ['**/*.test.ts', '**/*.test-helper.ts', ...nested],
    rules: { 'no-restricted-imports': ['error', { patterns }] },
  };
}

const config = {
  $schema: './node_modules/oxlint/configuration_schema.json',
  plugins: ['typescript', 'unicorn', 'import', 'oxc', 'promise'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/no-explicit-any': 'error',
    'typescript/no-unsafe-type-assertion': 'off',
    'typescript/consistent-type-imports': 'error',
    'no-await-in-loop': 'off',
    'typescript/consistent-return': 'off',
    'no-shadow': 'off',
    'no-underscore-dangle': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'promise/always-return': 'off',
    'import/no-unassigned-import': 'off',
    'import/no-named-as-default-member': 'off',
    'import/no-cycle': 'error',
  },
  ignorePatterns: ['src/api/gen', 'dist', 'dist-bench', 'node_modules'],
  overrides: overrides(readLayers()),
};

const text = `${JSON.stringify(config, null, 2)}\n`;
if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (readFileSync(target, 'utf8') !== text) {
  console.error('.oxlintrc.json is not what docs/architecture.md says: run `npm run generate` and commit it');
  process.exit(1);
}
