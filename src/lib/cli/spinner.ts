/** How does ora draw our line? Loaded only when it is wanted. */
import ora, {type Ora} from 'ora'

export function startSpinner(text: string, isUnicode: boolean, hasColour: boolean): Ora {
  return ora({
    text,
    stream: process.stderr,
    spinner: isUnicode ? 'dots' : 'line',
    color: hasColour ? 'cyan' : false,
    // ora's default puts the terminal in raw mode and reads nothing from it: Ctrl-C would be dead.
    discardStdin: false,
    isEnabled: true,
  }).start()
}
