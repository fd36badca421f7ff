// Makes the projects that the tests of scenarios read, by the vendor's own
// command line: `tcb config pull` writes cloudbaserc.json, from code that lies
// there, and `tcb fn invoke` without a name says what a project's functions are
// to be invoked with. Without a network: see offline.cjs.
//
//   node make.mjs FOLDER
//
// Each folder below FOLDER is a project, with invocations.jsonl beside its
// files: what the command line invoked.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, '../../scenarios/testdata/project'));
const cli = join(dirname(createRequire(import.meta.url).resolve('@cloudbase/cli/package.json')), 'bin/tcb');
const env = 'my-env-1a2b3c';
const scratch = mkdtempSync(join(tmpdir(), 'project-'));

// tcb runs the command line in a project, logged in as nobody in particular.
function tcb(folder, args, input = '', more = {}) {
  const home = join(scratch, 'home');
  mkdirSync(join(home, '.config/.cloudbase'), { recursive: true });
  writeFileSync(join(home, '.config/.cloudbase/auth.json'), JSON.stringify({ credential: { secretId: 'AKIDnobody', secretKey: 'nothing' } }));
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, ['--require', join(here, 'offline.cjs'), cli, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: home, CI: '1', PROJECT_ENV: env, INVOCATIONS: join(folder, 'invocations.jsonl'), ...more },
    });
    const said = [];
    child.stdout.on('data', (chunk) => said.push(chunk));
    child.stderr.on('data', (chunk) => said.push(chunk));
    child.on('error', fail);
    child.on('close', (code) => (code === 0 ? done() : fail(new Error(`tcb ${args.join(' ')} ended with ${code}:\n${Buffer.concat(said)}`))));
    child.stdin.end(input);
  });
}

// project makes a project of files, has the command line invoke its functions,
// and keeps what is of interest.
async function project(name, files, { pull = [], keep = [], more = {} } = {}) {
  const folder = join(scratch, name);
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content, null, 2) + '\n');
  }
  for (const names of pull) await tcb(folder, ['config', 'pull', 'fn', ...names, '-e', env, '--yes']);
  await tcb(folder, ['fn', 'invoke'], 'y\n', more);
  const record = join(folder, 'invocations.jsonl');
  if (!existsSync(record)) throw new Error(`${name}: the command line invoked nothing`);
  // It fires them together: their order says nothing.
  writeFileSync(record, readFileSync(record, 'utf8').trim().split('\n').sort().join('\n') + '\n');
  const to = join(target, name);
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  for (const file of [...keep, 'invocations.jsonl']) cpSync(join(folder, file), join(to, file));
}

const node = (name, more) => ({ name, version: '1.0.0', main: 'index.js', ...more });
const code = 'exports.main = async (event) => event;\n';

try {
  // What the command line writes of itself, from code in the usual folders.
  await project('pulled', {
    'functions/hello/package.json': node('hello', { engines: { node: '>=20' }, dependencies: { dayjs: '1' } }),
    'functions/hello/index.js': code,
    'functions/report/requirements.txt': '',
    'functions/report/main.py': 'def main(event, context):\n    return event\n',
  }, { pull: [['hello,report,elsewhere']], keep: ['cloudbaserc.json'] });

  // The same, with what people write into it.
  await project('edited', {
    'cloudbaserc.json': {
      version: '2.0', envId: '{{env.MY_ENV}}', region: 'ap-shanghai', functionRoot: './functions',
      functionDefaultConfig: { timeout: 5, memorySize: 256, params: { source: 'default', tags: ['a', 'b'] } },
      functions: [
        { name: 'getUserInfo', timeout: 60, params: { userId: '{{env.USER_ID}}', source: 'own', tags: ['c'], deep: { '键': '值 "quoted" \\ ${NAME}', n: [1, 2.5, -0.25, null, true] } } },
        { name: 'getOrderList', params: { filter: '{{env.FILTER}}', note: 'a{{env.NOT_SET}}b', json: '[1, {"a": null}]', digits: '007' } },
        { name: 'site', type: 'HTTP' },
        { name: 'older', config: { timeout: 20, params: { only: true } } },
      ],
    },
    '.env': "MY_ENV=overruled\nUSER_ID=u-1 # no comment\nFILTER='{\\\"state\\\": \\\"open\\\"}'\n",
    '.env.local': `MY_ENV=${env}\n`,
  }, { pull: [], keep: ['cloudbaserc.json', '.env', '.env.local'] });

  await project('yaml', {
    'cloudbaserc.yaml': `# also read by the command line
envId: ${env}
region: ap-shanghai
functions:
  - name: hello
    params: &event
      when: 2026-11-22
      yes: no
      text: |
        two
        lines
      count: 3
  - name: again
    params: *event
`,
  }, { keep: ['cloudbaserc.yaml'] });

  await project('package', {
    'package.json': { name: 'app', cloudbaserc: { envId: 'not-read' }, cloudbase: { envId: env, functions: [{ name: 'hello', params: { from: 'package.json' } }] } },
    'cloudbaserc.json': { envId: 'not-read', functions: [{ name: 'wrong' }] },
  }, { keep: ['package.json', 'cloudbaserc.json'] });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
