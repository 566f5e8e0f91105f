#!/usr/bin/env node
/** The command `toeplitz`. */
import { exitCodes } from './actions.js'
import { runCli } from './program.js'
import { endWithOutput } from './terminal.js'

endWithOutput(exitCodes)
process.exitCode = await runCli(process.argv.slice(2))
