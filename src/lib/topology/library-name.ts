/** What is a function library called? Pure. */

/** "#!lua name=mylib" on its first line; the name is empty where there is no such line. */
export function libraryName(code: Buffer): string {
  return /^#!\S+[^\n]*?\bname=(\S+)/.exec(code.toString('utf8', 0, 1024))?.[1] ?? ''
}
