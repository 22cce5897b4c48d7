import * as Flags from '@oclif/core/flags'
import {captureOutput} from '@oclif/test'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {word} from '../../src/lib/cli/args.ts'
import {BaseCommand} from '../../src/lib/cli/base-command.ts'
import {changeFlags, list, positiveInteger} from '../../src/lib/cli/flags.ts'
import {RefusedError} from '../../src/lib/errors.ts'

const root = new URL('../..', import.meta.url).pathname

/** Does what `mode` says. */
class Probe extends BaseCommand<typeof Probe> {
  static override id = 'local:probe'
  static override args = {mode: word({required: true}), count: word()}
  static override flags = {
    ...changeFlags,
    slots: positiveInteger({max: 16384}),
    from: list(),
    mood: Flags.option({options: ['good', 'bad'] as const})(),
  }

  async run(): Promise<object> {
    switch (this.args.mode) {
      case 'refuse':
        throw new RefusedError('open-slots', 'slot 866 is open', {suggestions: ['rcluster check h:1']})
      case 'crash':
        throw new TypeError('of undefined')
      case 'warn':
        this.warnOperator('mind the gap')
        this.note('a note')
        break
      case 'ask':
        await this.confirm('Move 5 slots?')
        break
      case 'hang':
        await this.stoppable(new Promise(() => setInterval(() => {}, 1000).unref()))
        break
      case 'unhealthy':
        process.exitCode = 1
        break
      case 'progress': {
        const listener = this.listener()
        listener({kind: 'phase', text: 'Moving'})
        listener({kind: 'moves-started', slots: 2, keys: 10})
        listener({kind: 'keys-moved', keys: 10, bytes: 1000, pauseMs: 2, from: 'a', to: 'b'})
        listener({kind: 'slots-moved', slots: [1, 2], from: 'a', to: 'b'})
        break
      }
    }
    this.print('the result')
    return {mode: this.args.mode, count: this.args.count, from: this.flags.from}
  }
}

let env: NodeJS.ProcessEnv

beforeEach(() => {
  env = {...process.env}
})

afterEach(() => {
  process.env = env
  process.exitCode = undefined
})

async function probe(...argv: string[]) {
  const {stdout, stderr} = await captureOutput(() => Probe.run(argv, {root}))
  return {stdout, stderr, exitCode: process.exitCode ?? 0}
}

describe('text', () => {
  test('the result is on stdout, warnings and notes are on stderr', async () => {
    expect(await probe('warn')).toEqual({
      stdout: 'the result\n',
      stderr: 'Warning: mind the gap\na note\n',
      exitCode: 0,
    })
  })

  test('--quiet leaves out notes, not warnings and not results', async () => {
    expect(await probe('warn', '--quiet')).toEqual({
      stdout: 'the result\n',
      stderr: 'Warning: mind the gap\n',
      exitCode: 0,
    })
  })

  test('a failure is one line and its suggestions, with its own exit code', async () => {
    expect(await probe('refuse')).toEqual({
      stdout: '',
      stderr: expect.stringMatching(/^Error: slot 866 is open\n {2}(->|→) rcluster check h:1\n$/),
      exitCode: 3,
    })
  })

  test('a fault of ours has exit code 70, and a stack only under --verbose', async () => {
    const terse = await probe('crash')
    expect(terse.exitCode).toBe(70)
    expect(terse.stderr).toContain('Error: unexpected fault: of undefined')
    expect(terse.stderr).not.toContain(' at ')
    expect((await probe('crash', '--verbose')).stderr).toContain('TypeError: of undefined\n')
  })

  test('a result that is bad news keeps its exit code', async () => {
    expect(await probe('unhealthy')).toEqual({stdout: 'the result\n', stderr: '', exitCode: 1})
  })
})

describe('--json', () => {
  test('success', async () => {
    const {stdout, stderr, exitCode} = await probe('warn', '7', '--from', 'a,b', '--from', 'c', '--json')
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      command: 'local probe',
      ok: true,
      warnings: ['mind the gap'],
      result: {mode: 'warn', count: '7', from: ['a', 'b', 'c']},
    })
    expect({stderr, exitCode}).toEqual({stderr: '', exitCode: 0})
  })

  test('failure', async () => {
    const {stdout, stderr, exitCode} = await probe('refuse', '--json')
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      command: 'local probe',
      ok: false,
      warnings: [],
      error: {
        code: 'E_REFUSED',
        exitCode: 3,
        message: 'slot 866 is open',
        details: {reason: 'open-slots'},
        suggestions: ['rcluster check h:1'],
      },
    })
    expect({stderr, exitCode}).toEqual({stderr: '', exitCode: 3})
  })

  test('bad words, and nothing of the other words is repeated', async () => {
    const {stdout, exitCode} = await probe('ok', '--form', 'hunter2', '--json')
    expect(exitCode).toBe(2)
    expect(stdout).not.toContain('hunter2')
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'E_USAGE',
      message: 'unknown option --form',
      suggestions: ['Did you mean --from?', 'rcluster local probe --help'],
    })
  })

  test('bad news keeps its exit code', async () => {
    const {stdout, exitCode} = await probe('unhealthy', '--json')
    expect(JSON.parse(stdout).ok).toBe(true)
    expect(exitCode).toBe(1)
  })
})

describe('bad words end with exit code 2 and one clear line', () => {
  test.each([
    {argv: [], message: 'missing argument: MODE'},
    {argv: ['ok', '1', 'more'], message: 'too many arguments: more'},
    {argv: ['ok', '--slots', '20000'], message: '--slots must be a whole number, from 1 to 16384, not "20000"'},
    {argv: ['ok', '--slots=-1'], message: '--slots must be a whole number, from 1 to 16384, not "-1"'},
    {argv: ['ok', '--slots', '0'], message: '--slots must be a whole number, from 1 to 16384, not "0"'},
    {argv: ['ok', '--slots', '1.5'], message: '--slots must be a whole number, from 1 to 16384, not "1.5"'},
    {argv: ['ok', '--slots'], message: 'flag --slots expects a value'},
    {argv: ['ok', '--mood', 'ugly'], message: 'expected --mood=ugly to be one of: good, bad'},
    {argv: ['ok', '--timeout', 'soon'], message: '--timeout must be a time such as 30, 30s, 5m or 500ms, not "soon"'},
    {argv: ['ok', '--slots', '1', '--slots', '2'], message: 'flag --slots can only be specified once'},
    {argv: ['ok', '--bogus', '--worse'], message: 'unknown options --bogus, --worse'},
  ])('$argv', async ({argv, message}) => {
    const {stdout, stderr, exitCode} = await probe(...argv)
    expect(stderr.split('\n')[0]).toBe(`Error: ${message}`)
    expect({stdout, exitCode}).toEqual({stdout: '', exitCode: 2})
  })

  test('the value that was probably meant is suggested', async () => {
    expect((await probe('ok', '--mood', 'godo')).stderr).toContain('Did you mean --mood good?')
    expect((await probe('ok', '--mood', 'ugly')).stderr).not.toContain('Did you mean')
  })
})

describe('questions', () => {
  test('without a terminal and without --yes: exit 2 at once, naming --yes', async () => {
    const {stderr, exitCode} = await probe('ask')
    expect(stderr).toContain('Error: there is no terminal to ask on: Move 5 slots?\n')
    expect(stderr).toContain('--yes')
    expect(exitCode).toBe(2)
  })

  test.each(['--yes', '-y'])('%s answers', async (flag) => {
    expect((await probe('ask', flag)).stdout).toBe('the result\n')
  })
})

describe('stopping', () => {
  test('--timeout ends a command that hangs, exit 4', async () => {
    const {stderr, exitCode} = await probe('hang', '--timeout', '50ms')
    expect(stderr).toContain('Error: the command was not done within 50 ms (--timeout)\n')
    expect(exitCode).toBe(4)
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends it, exit 130', async (signal) => {
    const before = process.listenerCount(signal)
    const timer = setInterval(() => {
      if (process.listenerCount(signal) === before) return
      clearInterval(timer)
      process.emit(signal, signal)
    }, 20)
    const {stderr, exitCode} = await probe('hang')
    clearInterval(timer)
    expect(stderr).toContain(`Stopped by ${signal}\n`)
    expect(exitCode).toBe(130)
  })

  test('no listener and no timer stays', async () => {
    const before = process.listenerCount('SIGINT')
    await probe('ok', '--timeout', '1h')
    expect(process.listenerCount('SIGINT')).toBe(before)
  })
})

describe('progress', () => {
  test('plain lines when stderr is no terminal, without escape codes', async () => {
    const {stdout, stderr} = await probe('progress')
    expect(stdout).toBe('the result\n')
    expect(stderr.replace(/^\d\d:\d\d:\d\d /gm, '').replace(/^.* on average/m, 'N')).toBe(
      ['Moving', '100%  2/2 slots  10/10 keys  pause 0 ms, worst 2 ms', 'N; longest pause of a node 2 ms', ''].join(
        '\n',
      ),
    )
  })

  test('--progress ndjson: one event a line', async () => {
    const {stderr} = await probe('progress', '--progress', 'ndjson', '--json')
    const events = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({kind}) => kind)).toEqual(['phase', 'moves-started', 'keys-moved', 'slots-moved'])
    expect(events[0].time).toMatch(/^\d{4}-\d\d-\d\dT/)
  })

  test('--quiet: nothing', async () => {
    expect((await probe('progress', '--quiet')).stderr).toBe('')
  })
})
