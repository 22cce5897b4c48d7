import {expect, test} from 'vitest'
import {parseManifest} from '../../src/lib/engine/backup-manifest.ts'
import {RefusedError} from '../../src/lib/errors.ts'

const FILE = {name: 'a.rdb', bytes: 10, sha256: 'a'.repeat(64), slots: '0-16383', keys: {0: 3}}
const GOOD = {
  version: 1,
  kind: 'rcluster-backup',
  complete: true,
  missingSlots: '',
  files: [FILE],
  functions: [],
  users: null,
}

test('a manifest is read', () => {
  expect(parseManifest(JSON.stringify(GOOD), '/backup')).toMatchObject(GOOD)
})

test.each([
  {name: 'cut', text: JSON.stringify(GOOD).slice(0, 100), says: 'it is no JSON'},
  {name: 'null', text: 'null', says: 'it is not the manifest of a backup'},
  {name: 'of something else', text: '[]', says: 'it is not the manifest of a backup'},
  {name: 'of a later version', change: {version: 2}, says: 'version 2 is not known to this rcluster'},
  {name: 'silent about its completeness', change: {complete: 'yes'}, says: 'it does not say whether'},
  {name: 'without files', change: {files: undefined}, says: 'it lists no files'},
  {
    name: 'with a file of another folder',
    change: {files: [{...FILE, name: '../a.rdb'}]},
    says: 'it lists a file without',
  },
  {name: 'with a file without a checksum', change: {files: [{...FILE, sha256: ''}]}, says: 'it lists a file without'},
  {name: 'with slots that are none', change: {files: [{...FILE, slots: '0-99999'}]}, says: 'it lists a file without'},
  {name: 'with a file twice', change: {files: [FILE, FILE]}, says: 'it lists a.rdb twice'},
  {name: 'without functions', change: {functions: undefined}, says: 'it does not tell of functions'},
  {name: 'with users that are no lines', change: {users: [1]}, says: 'its users are no list of lines'},
])('one that is $name is refused', ({text, change, says}) => {
  const read = () => parseManifest(text ?? JSON.stringify({...GOOD, ...change}), '/backup')
  expect(read).toThrow(RefusedError)
  expect(read).toThrow(`/backup/manifest.json: ${says}`)
})
