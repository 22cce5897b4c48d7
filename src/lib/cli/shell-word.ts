/** How is a word written so that a shell reads it as it is? */
/** As it can be pasted. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
