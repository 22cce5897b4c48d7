import {expect, test} from 'vitest'
import {isSeedWord} from '../../src/lib/cli/admin-command.ts'

test.each(['127.0.0.1:7000', '10.0.0.1', '[::1]:7000', 'redis-1:6379', 'rediss://u:p@h:1', 'localhost'])(
  '%s is where a cluster is',
  (text) => expect(isSeedWord(text)).toBe(true),
)

test.each(['maxmemory', 'repl-*', 'search.timeout', 'app', 'app:*', 'default', '+@read', 'user:name', '1.5'])(
  '%s is a name, a pattern or a rule',
  (text) => expect(isSeedWord(text)).toBe(false),
)
