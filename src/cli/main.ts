#!/usr/bin/env node
/** The command `toeplitz`. */
import { exitCodes } from './actions.js'
import { evaluateCommand } from './evaluate.js'
import { explainCommand } from './explain.js'
import { predictCommand } from './predict.js'
import { runCli } from './program.js'
import { searchCommand } from './search.js'
import { summaryCommand } from './summary.js'
import { endWithOutput } from './terminal.js'
import { trainCommand } from './train.js'

endWithOutput(exitCodes)
process.exitCode = await runCli(process.argv.slice(2), {
  train: (options) => trainCommand(options),
  search: (options) => searchCommand(options),
  predict: (model, images, options) => predictCommand(model, images, options),
  evaluate: (model, data, options) => evaluateCommand(model, data, options),
  summary: (model, options) => summaryCommand(model, options),
  explain: (model, options) => explainCommand(model, options),
})
