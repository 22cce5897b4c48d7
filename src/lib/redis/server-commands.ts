/** Which commands has the server, and in which categories are they? Pure. */
import type {ServerCommand} from '../topology/user-meaning.ts'
import type {Reply} from './replies.ts'
import {listIn, textIn} from './reply-shapes.ts'

const [NAME, CATEGORIES, SUBCOMMANDS] = [0, 6, 9]

/** COMMAND, as servers from version 7 answer it. */
export function serverCommandsIn(reply: Reply | undefined): ServerCommand[] {
  return listIn(reply).map((one) => {
    const fields = listIn(one)
    return {
      name: textIn(fields[NAME]).toLowerCase(),
      categories: listIn(fields[CATEGORIES]).map((category) => textIn(category).toLowerCase()),
      subcommands: fields.length > SUBCOMMANDS ? serverCommandsIn(fields[SUBCOMMANDS]) : [],
    }
  })
}
