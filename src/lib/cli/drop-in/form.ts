/** Apart, so that other command lines need not load what reads this one. */

/** Is this command line in the form of redis-cli? What follows "--" are arguments of a command of ours. */
export function isDropInForm(argv: readonly string[]): boolean {
  const at = argv.indexOf('--cluster')
  const end = argv.indexOf('--')
  return at !== -1 && (end === -1 || at < end)
}
