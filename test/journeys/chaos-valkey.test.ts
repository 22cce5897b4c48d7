/** Rounds of chaos with fixed seeds, on Valkey; see chaos.test.ts. */
import {playFixedRounds} from '../chaos/play.ts'

playFixedRounds(['valkey-8.1', 'valkey-9.1'], 2000)
