/** Somebody who has the README alone: its five commands, as they stand there, from nothing to 1000 moved slots. */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {commandsIn} from '../support/examples.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachFamily, rawCommand} from '../support/servers.ts'

const rcluster = openRcluster()
const home = mkdtempSync(path.join(os.tmpdir(), 'rcluster-newcomer-'))
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const env = {XDG_STATE_HOME: home}
afterAll(() => {
  rcluster.close()
  rmSync(home, {recursive: true, force: true})
})

forEachFamily('the README', (kind) => {
  test('gets from nothing to a cluster with one added node and 1000 moved slots in five commands', async () => {
    const section = readme.split(/^## /m).find((part) => part.startsWith('A cluster in five commands\n')) ?? ''
    const commands = commandsIn(section)
    expect(commands.map(([name]) => name)).toEqual(['local', 'create', 'add-node', 'reshard', 'check'])
    const asWritten = ['127.0.0.1:7000', '127.0.0.1:7001', '127.0.0.1:7002', '127.0.0.1:7003']
    // Ports that others have taken are passed over; which ones there are is said.
    let places = asWritten
    try {
      for (const words of commands) {
        const here = words.map((word) => places[asWritten.indexOf(word)] ?? word)
        const own = words[0] === 'local' ? ['--server', kind.server] : []
        const {code, stdout, stderr} = await rcluster.run([...here, ...own], {env})
        expect(code, `${here.join(' ')}:\n${stdout}\n${stderr}`).toBe(0)
        if (words[0] === 'local') places = [...(/^ +(127\S+(?: 127\S+)*)$/m.exec(stdout)?.[1] ?? '').split(' ')]
        expect(places).toHaveLength(4)
        if (words[0] === 'reshard') expect(stdout).toContain('Moved 1000 slots')
        if (words[0] === 'check') expect(stdout).toContain('Healthy')
      }
      expect(String(await rawCommand(places[3]!, ['CLUSTER', 'NODES']))).toMatch(/myself,master .*connected 4461-5460/)
    } finally {
      await rcluster.run(['local', 'down'], {env})
    }
  })
})
