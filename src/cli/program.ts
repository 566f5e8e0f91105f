/** The commands and options of `toeplitz`. Tests hand in what the commands do as {@link CliActions}. */

import { inspect } from 'node:util'
import { Command, CommanderError, Option } from 'commander'
import { fits } from '../io/planar.js'
import { isOutOfMemory, OutOfMemoryError, ToeplitzError } from '../runtime/errors.js'
import {
  exitCodes,
  explainPasses,
  featureMethods,
  type EvaluateOptions,
  type ExplainOptions,
  type FeaturesOptions,
  type InspectOptions,
  type LookOptions,
  quantizedLayers,
  type PredictOptions,
  type QuantizeCommandOptions,
  type RunOptions,
  type SearchOptions,
  type WorkerCommandOptions,
} from './actions.js'
import { packageVersion } from './assets.js'
import { dataNames } from './data.js'
import type { SearchRange } from '../train/trials.js'
import { jobsCommand, workerCommand } from './distributed.js'
import { UsageError } from './errors.js'
import { evaluateCommand } from './evaluate.js'
import { explainCommand } from './explain.js'
import { featureDefaults, featuresCommand } from './features.js'
import {
  choiceOf,
  collect,
  collectShapes,
  modelNames,
  parseNonNegativeInteger,
  parseNumbers,
  parsePath,
  parsePattern,
  parsePositiveInteger,
  parsePositiveNumber,
  parseSeed,
  parseThreads,
  parseValues,
  settingParsers as parsers,
} from './options.js'
import { lookCommand, lookDefaults } from './look.js'
import { predictCommand } from './predict.js'
import { quantizeCommand, quantizeDefaults } from './quantize.js'
import { runCommand } from './runModel.js'
import { searchCommand } from './search.js'
import {
  evaluationBatch,
  jobBatch,
  optimizerNames,
  storedTypes,
  trainDefaults,
  withRecipe,
  type TrainSettings,
} from './settings.js'
import { summaryCommand } from './summary.js'
import { outputTo, type CliStreams } from './terminal.js'
import { trainCommand } from './train.js'

/** What the commands do, by their names. Each is declared in this file, too. */
export const commands = {
  train: trainCommand,
  search: searchCommand,
  features: featuresCommand,
  predict: predictCommand,
  evaluate: evaluateCommand,
  quantize: quantizeCommand,
  look: lookCommand,
  summary: summaryCommand,
  explain: explainCommand,
  run: runCommand,
  worker: workerCommand,
  jobs: jobsCommand,
} as const

/** What takes the place of the commands. A returned number is the exit code (130 after an interrupt); undefined means 0. */
export type CliActions = {
  readonly [name in keyof typeof commands]: (
    ...given: Parameters<(typeof commands)[name]>
  ) => Promise<number | undefined>
}

/** What `toeplitz search` tries where nothing else is asked for. */
const searchDefaults = {
  lr: { low: 1e-4, high: 1e-1 },
  weightDecay: { low: 1e-6, high: 1e-2 },
  trials: 8,
  rounds: 2,
  epochs: 1,
  images: 5000,
} as const

export function createProgram(actions: CliActions, streams: CliStreams = process): Command {
  const program = new Command('toeplitz')
  program
    .description('Train and run convolutional networks in WebAssembly.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .option('--debug', 'show the stack of an error')
    .showSuggestionAfterError(true)
    // Before the commands are made: they inherit both.
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        outputTo(streams.stdout).text(text.replace(/\n$/, ''))
      },
      writeErr: (text) => {
        outputTo(streams.stderr).text(text.replace(/\n$/, ''))
      },
      outputError: (text) => {
        outputTo(streams.stderr).line(`toeplitz: ${onOneLine(text.replace(/^error: /, ''))}`)
      },
    })
  addTrain(program, actions)
  addSearch(program, actions)
  addFeatures(program, actions)
  addPredict(program, actions)
  addEvaluate(program, actions)
  addQuantize(program, actions)
  addLook(program, actions)
  addSummary(program, actions)
  addExplain(program, actions)
  addRun(program, actions)
  addWorker(program, actions)
  addJobs(program, actions)
  program.addHelpText(
    'after',
    `
Examples:
  $ toeplitz train                          train the ConvNet on MNIST, with defaults
  $ toeplitz train --epochs 5 --lr 0.02     longer, in smaller steps
  $ toeplitz train --resume                 go on after an interrupt
  $ toeplitz search --trials 8              look for a learning rate and a weight decay
  $ toeplitz features --method kmeans       filters without labels, and a classifier on them
  $ toeplitz predict runs/convnet-mnist digit.png
  $ toeplitz evaluate runs/convnet-photos photos/test
  $ toeplitz quantize runs/convnet-mnist --out small.onnx
  $ toeplitz look runs/convnet-mnist         a page of what its layers see
  $ toeplitz summary runs/convnet-mnist/model.json
  $ toeplitz explain vgg16                  which algorithm computes each layer
  $ toeplitz run model.onnx --input cat.jpg --top 5
  $ toeplitz worker --redis redis://127.0.0.1:6379

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 141 output no longer read.`,
  )
  return program
}

/** Runs one command line (without the interpreter and the script, as `process.argv.slice(2)`); gives the exit code. */
export async function runCli(
  argv: readonly string[],
  actions: CliActions = commands,
  streams: CliStreams = process,
): Promise<number> {
  let exitCode: number = exitCodes.success
  const keep = (code: number | undefined) => (exitCode = code ?? exitCodes.success)
  const noting = Object.fromEntries(
    Object.entries(actions).map(([name, act]) => [
      name,
      async (...given: unknown[]) =>
        keep(await (act as (...values: unknown[]) => Promise<number | undefined>)(...given)),
    ]),
  ) as unknown as CliActions
  const program = createProgram(noting, streams)
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed the help, the version or the one line already.
      return error.exitCode === 0 ? exitCodes.success : exitCodes.usage
    }
    outputTo(streams.stderr).text(describeFailure(error, flags(program).debug))
    return error instanceof UsageError ? exitCodes.usage : exitCodes.failure
  }
  return exitCode
}

/** The options of every command that reads pictures. */
const limits = {
  maxPixels: (): Option =>
    new Option('--max-pixels <count>', 'largest width × height of a picture that is read')
      .argParser(parsers.maxPixels)
      .default(trainDefaults.maxPixels),
  maxBytes: (): Option =>
    new Option('--max-bytes <count>', 'most memory in which a picture or a compressed file is decoded')
      .argParser(parsers.maxBytes)
      .default(trainDefaults.maxBytes),
}

/** How pictures come to a size. */
const fitOption = (): Option =>
  new Option('--fit <name>', `how pictures come to this size: ${fits.join(', ')}`)
    .argParser(parsers.fit)
    .default(trainDefaults.fit)

function addTrain(program: Command, actions: CliActions): void {
  const { model, data, epochs, batchSize, lr, schedule, momentum, weightDecay, init, augment } = trainDefaults
  const { imageSize, permutePixels, clipNorm, accumulate, parts, earlyStopping, seed, dtype, optimizer } = trainDefaults
  const { from, freeze, headOnly, unfreeze, lrHead } = trainDefaults
  program
    .command('train')
    .description('train a model, test it, and leave the weights and a report in a folder')
    .addOption(
      new Option('--model <name>', `architecture: ${modelNames.join(', ')}, or a .json file with one`)
        .argParser(parsers.model)
        .default(model),
    )
    .option('--data <name>', `data set: ${dataNames.join(', ')}, or a folder of pictures`, parsers.data, data)
    .option(
      '--from <model>',
      'a trained model that goes on: the folder of a run, or its model file',
      parsers.from,
      from,
    )
    .option(
      '--freeze <pattern>',
      'with --from: names of layers that stay as they are, such as ^conv',
      parsers.freeze,
      freeze,
    )
    .option('--head-only', 'with --from: train the last layer alone', headOnly)
    .option('--unfreeze', 'with --from: layers that are frozen in the model learn again', unfreeze)
    .option(
      '--lr-head <rate>',
      'with --from: learning rate of the last layer, 0 for that of the others',
      parsers.lrHead,
      lrHead,
    )
    .option('--image-size <pixels>', 'size of the pictures of a folder, 0 for the first', parsers.imageSize, imageSize)
    .addOption(fitOption())
    .addOption(limits.maxPixels())
    .addOption(limits.maxBytes())
    .option('--epochs <count>', 'passes over the training images', parsers.epochs, epochs)
    .option('--batch-size <count>', 'images in a step', parsers.batchSize, batchSize)
    .addOption(
      new Option('--optimizer <name>', `what changes the weights: ${optimizerNames.join(', ')}`)
        .argParser(parsers.optimizer)
        .default(optimizer),
    )
    .option('--lr <rate>', 'highest learning rate: it rises to it at first, then falls', parsers.lr, lr)
    .addOption(
      new Option('--schedule <name>', 'how it falls: to 0 (cosine), by tenths (step), not at all (constant)')
        .argParser(parsers.schedule)
        .default(schedule),
    )
    .option('--momentum <fraction>', 'share of the last update that is kept, 0 up to 1', parsers.momentum, momentum)
    .option('--weight-decay <factor>', 'pull of the weights towards 0', parsers.weightDecay, weightDecay)
    .option('--init <name>', 'initial weights: he, glorot, lecun or gaussian=<sigma>', parsers.init, init)
    .option('--augment <list>', 'random changes of training images, such as flip,shift=4', parsers.augment, augment)
    .addOption(
      new Option(
        '--permute-pixels [seed]',
        'shuffle the pixels of every picture alike, so that neighbours mean nothing',
      )
        .argParser(parsers.permutePixels)
        .preset('0')
        .default(permutePixels),
    )
    .option('--clip-norm <norm>', 'largest norm of the gradients, 0 for any', parsers.clipNorm, clipNorm)
    .option(
      '--accumulate <parts>',
      'parts in which a batch is computed, to save memory',
      parsers.accumulate,
      accumulate,
    )
    .option(
      '--parts <count>',
      'parts of a batch whose gradients are computed apart; their number decides the bits (with --redis: 8)',
      parsers.parts,
      parts,
    )
    .addOption(redisOption(': its workers compute the parts (default: here)'))
    .option(
      '--early-stopping <epochs>',
      'epochs without improvement after which to stop, 0 for never',
      parsers.earlyStopping,
      earlyStopping,
    )
    .option('--seed <number>', 'initial weights, order and changes of images; same seed, same bits', parsers.seed, seed)
    .addOption(
      new Option('--dtype <name>', `how the weights are stored: ${storedTypes.join(', ')}, of half the bytes`)
        .argParser(parsers.dtype)
        .default(dtype),
    )
    .option('--strict', 'end at a damaged picture in a folder, instead of skipping it')
    .option('--out <dir>', 'folder for the results (default: runs/<model>-<data>)', parsePath)
    .option(
      '--resume [dir]',
      'go on from the checkpoint in this folder (default: that of --out); with --epochs, extend',
      parsePath,
    )
    .option('--force', 'replace the run that is in the folder of --out')
    .option('--tensorboard', 'write the curves as an event file, too, for tensorboard --logdir')
    .option('--accept-changed-data', 'with --resume: go on though the data is not what the run was started on')
    .option('--threads <count>', 'threads to compute with; any number gives the same bits (default: 1)', parseThreads)
    .option('--data-dir <dir>', 'folder with the files of the data set (default: the installed package)', parsePath)
    .addHelpText(
      'after',
      `
Some models have better defaults of their own on a data set, such as convnet on cifar10. On a folder, epochs, learning
rate, image size and validation share follow from what is there, and are told.
With the same --parts the weights have the same bits with --redis and without. It needs two packages more:
npm install bullmq ioredis, and workers (toeplitz worker).

Examples:
  $ toeplitz train
  $ toeplitz train --epochs 5 --batch-size 128 --lr 0.1 --out runs/longer
  $ toeplitz train --resume runs/longer
  $ toeplitz train --resume runs/longer --epochs 10
  $ toeplitz train --model net.json --data photos --optimizer adam
  $ toeplitz train --model convnet --data cifar10 --data-dir cifar-10-batches-bin
  $ toeplitz train --data photos --image-size 64 --augment flip
  $ toeplitz train --batch-size 128 --redis redis://127.0.0.1:6379
  $ toeplitz train --from runs/convnet-cifar10 --data photos --head-only`,
    )
    .action(async (settings: TrainSettings, command: Command) => {
      const names = Object.keys(settings) as (keyof TrainSettings)[]
      const given = new Set(names.filter((name) => command.getOptionValueSource(name) === 'cli'))
      await actions.train({ ...withRecipe(settings, given), debug: flags(command).debug, given })
    })
}

function addSearch(program: Command, actions: CliActions): void {
  const { model, data, imageSize, batchSize, init, augment, seed } = trainDefaults
  const { lr, weightDecay, trials, rounds, epochs, images } = searchDefaults
  const ranges = (name: string, flag: string, { low, high }: SearchRange): Option =>
    new Option(flag, `${name}: a range to draw from in log space, or a list of which every one is tried`)
      .argParser(parseValues)
      .default({ low, high }, `${low}..${high}`)
  program
    .command('search')
    .description('find a learning rate and a weight decay by short trainings: at random, coarse to fine, or on a grid')
    .addOption(
      new Option('--model <name>', `architecture: ${modelNames.join(', ')}`).argParser(parsers.model).default(model),
    )
    .option('--data <name>', `data set: ${dataNames.join(', ')}, or a folder`, parsers.data, data)
    .option('--image-size <pixels>', 'size of the pictures of a folder', parsers.imageSize, imageSize)
    .addOption(fitOption())
    .addOption(limits.maxPixels())
    .addOption(limits.maxBytes())
    .addOption(ranges('learning rate', '--lr <values>', lr))
    .addOption(ranges('weight decay', '--weight-decay <values>', weightDecay))
    .option('--trials <count>', 'trials in a round', parsePositiveInteger, trials)
    .option('--rounds <count>', 'rounds, each around the best of the one before', parsePositiveInteger, rounds)
    .option('--epochs <count>', 'epochs of a trial; twice as many in round 2, and so on', parsePositiveInteger, epochs)
    .option('--images <count>', 'training images of a trial, 0 for all', parseNonNegativeInteger, images)
    .option('--batch-size <count>', 'images in a step', parsers.batchSize, batchSize)
    .option('--init <name>', 'initial weights, as for train', parsers.init, init)
    .option('--augment <list>', 'random changes of training images, as for train', parsers.augment, augment)
    .option('--seed <number>', 'of the values and of every training', parsers.seed, seed)
    .option('--out <dir>', 'folder for the results (default: runs/search-<model>-<data>)', parsePath)
    .option('--force', 'replace the search that is in the folder of --out')
    .option('--data-dir <dir>', 'folder with the files of the data set (default: the installed package)', parsePath)
    .addHelpText(
      'after',
      `
Examples:
  $ toeplitz search --model convnet --data mnist
  $ toeplitz search --lr 1e-3..1e-1 --weight-decay 1e-5..1e-3 --trials 12 --rounds 3
  $ toeplitz search --lr 0.01,0.03,0.1 --weight-decay 0,5e-4`,
    )
    .action(async (options: SearchOptions) => {
      await actions.search(options)
    })
}

function addFeatures(program: Command, actions: CliActions): void {
  const { method, model, data, epochs, batchSize, lr, weightDecay, active, pretrainEpochs, images, seed } =
    featureDefaults
  program
    .command('features')
    .description('fill the convolutions of a model without labels, and train only the classifier behind them')
    .addOption(
      new Option('--method <name>', `how filters are made: ${featureMethods.join(', ')}`)
        .argParser(choiceOf(featureMethods))
        .default(method),
    )
    .addOption(
      new Option('--model <name>', `architecture: ${modelNames.join(', ')}, or a .json file with one`)
        .argParser(parsers.model)
        .default(model),
    )
    .option('--data <name>', `data set: ${dataNames.join(', ')}, or a folder of pictures`, parsers.data, data)
    .option('--image-size <pixels>', 'size of the pictures of a folder', parsers.imageSize, trainDefaults.imageSize)
    .addOption(fitOption())
    .addOption(limits.maxPixels())
    .addOption(limits.maxBytes())
    .option('--images <count>', 'training images, 0 for all', parseNonNegativeInteger, images)
    .option(
      '--filters <count>',
      'filters of single-layer (default: 400; of gabor 96, rbm 64, dog 8)',
      parsePositiveInteger,
    )
    .option('--size <pixels>', 'their height and width (default: 6)', parsePositiveInteger)
    .option(
      '--grid <parts>',
      'parts of a picture by height and width that are averaged (default: 2)',
      parsePositiveInteger,
    )
    .option('--patches <count>', 'patches for kmeans and sparse (default: 100000 and 20000)', parsePositiveInteger)
    .option('--active <share>', 'share of the places where a filter responds', parsePositiveNumber, active)
    .option('--pretrain-epochs <count>', 'passes of autoencoder and rbm', parsePositiveInteger, pretrainEpochs)
    .option('--epochs <count>', 'passes of the classifier over the features', parsers.epochs, epochs)
    .option('--batch-size <count>', 'images in a step of the classifier', parsers.batchSize, batchSize)
    .option('--lr <rate>', 'highest learning rate of the classifier, by Adam', parsers.lr, lr)
    .option('--weight-decay <factor>', 'pull of its weights towards 0', parsers.weightDecay, weightDecay)
    .option('--seed <number>', 'of filters, patches and order; same seed, same bits', parsers.seed, seed)
    .option('--out <dir>', 'folder for the results (default: runs/<method>-<model>-<data>)', parsePath)
    .option('--force', 'replace the features that are in the folder of --out')
    .option('--threads <count>', 'threads to compute with; any number gives the same bits (default: 1)', parseThreads)
    .option('--data-dir <dir>', 'folder with the files of the data set (default: the installed package)', parsePath)
    .addHelpText(
      'after',
      `
kmeans, sparse, rbm and autoencoder learn from the training images, without their labels; random, gabor and dog are
not learned. Every convolution of the model is filled, and what comes behind the last is trained on its features.
The folder gets the model, which predict and evaluate take, a picture of the first filters, and features.json.

Examples:
  $ toeplitz features --method kmeans --data cifar10 --data-dir cifar-10-batches-bin
  $ toeplitz features --method random --data mnist --size 7 --grid 4
  $ toeplitz features --method autoencoder --model convnet --data mnist --pretrain-epochs 3`,
    )
    .action(async (options: FeaturesOptions) => {
      await actions.features(options)
    })
}

const trainedModel = 'folder of a run, finished or not, or its model.json, or a model.safetensors'

function addPredict(program: Command, actions: CliActions): void {
  program
    .command('predict')
    .description('say what a trained model sees in pictures')
    .argument('<model>', trainedModel)
    .argument('<image...>', 'PNG and JPEG files, and folders of such')
    .option(
      '--top <count>',
      'classes for each picture, the most probable first (default: 1, in JSON 5)',
      parsePositiveInteger,
    )
    .option(
      '--batch-size <count>',
      `pictures that are computed together (default: ${evaluationBatch}, with --redis ${jobBatch})`,
      parsePositiveInteger,
    )
    .addOption(redisOption(': its workers compute batches (default: here)'))
    .addOption(limits.maxPixels())
    .addOption(limits.maxBytes())
    .addOption(new Option('--json', 'print one JSON array').conflicts('csv'))
    .option('--csv', 'print comma-separated values')
    .addHelpText(
      'after',
      `
With the same --batch-size the answers have the same bits with --redis and without. It needs two packages more:
npm install bullmq ioredis, and workers (toeplitz worker), which need no access to the pictures.

Examples:
  $ toeplitz predict runs/convnet-mnist one.png two.jpg
  $ toeplitz predict runs/convnet-photos holidays --top 3
  $ toeplitz predict model.safetensors holidays --csv > holidays.csv
  $ toeplitz predict runs/convnet-photos holidays --csv --redis redis://127.0.0.1:6379`,
    )
    .action(async (model: string, images: string[], options: Partial<PredictOptions>, command: Command) => {
      const usual = options.redis === undefined ? evaluationBatch : jobBatch
      const { csv = false, batchSize = usual, ...rest } = options
      await actions.predict(model, images, { ...(rest as PredictOptions), csv, batchSize, ...flags(command) })
    })
}

function addEvaluate(program: Command, actions: CliActions): void {
  program
    .command('evaluate')
    .description('measure the error of a trained model on labelled pictures, class by class')
    .argument('<model>', trainedModel)
    .argument('<data>', `folder with a folder of pictures for each class, or ${dataNames.join(', ')}`)
    .option('--batch-size <count>', 'pictures that are computed together', parsePositiveInteger, evaluationBatch)
    .addOption(limits.maxPixels())
    .addOption(limits.maxBytes())
    .option('--strict', 'end at a damaged picture, instead of skipping it')
    .option('--data-dir <dir>', 'folder with the files of the data set (default: the installed package)', parsePath)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Of a folder with a folder test, the pictures in that are measured; of the folder that the run was trained on,
those that training held out; of another one, all.

Examples:
  $ toeplitz evaluate runs/convnet-photos photos/test
  $ toeplitz evaluate runs/convnet-mnist mnist --json`,
    )
    .action(async (model: string, data: string, options: EvaluateOptions, command: Command) => {
      await actions.evaluate(model, data, { ...options, ...flags(command) })
    })
}

function addQuantize(program: Command, actions: CliActions): void {
  const { examples, layers, batchSize } = quantizeDefaults
  program
    .command('quantize')
    .description('write a trained model as an ONNX file of integers of 8 bits, and measure what it loses')
    .argument('<model>', `${trainedModel}, or an .onnx file`)
    .option('--data <name>', `to calibrate and test with: ${dataNames.join(', ')}, or a folder (default: the run's)`)
    .option('--data-dir <dir>', 'folder with the files of the data set (default: the installed package)', parsePath)
    .option('--examples <count>', 'training pictures that show the ranges of values', parsePositiveInteger, examples)
    .addOption(
      new Option('--layers <which>', 'in integers: fastest, those that are faster so; all, that can')
        .argParser(choiceOf(quantizedLayers))
        .default(layers),
    )
    .option('--skip <pattern>', 'names of layers that stay in float32, such as ^conv', parsePattern)
    .addOption(new Option('--out <file>', 'the file, called .onnx').argParser(parsePath).makeOptionMandatory())
    .option('--force', 'replace the file of --out')
    .option('--no-test', 'leave the test error out')
    .option('--batch-size <count>', 'test pictures that are computed together', parsePositiveInteger, batchSize)
    .option('--scale <factor>', 'of the pixels of an .onnx file, 0 to 255 (default: 1/255)', parsePositiveNumber)
    .option('--mean <numbers>', 'what is taken off them, one number or one for each channel (default: 0)', parseNumbers)
    .option('--std <numbers>', 'what they are then divided by (default: 1)', parseNumbers)
    .addOption(limits.maxPixels())
    .addOption(limits.maxBytes())
    .option('--strict', 'end at a damaged picture in a folder, instead of skipping it')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Training pictures, prepared as those of the model, show which numbers its values take. The table tells what each layer
computes in and why; the test error is measured before and after, on the pictures that evaluate would take.

Examples:
  $ toeplitz quantize runs/lenet5-mnist --out lenet5.onnx
  $ toeplitz quantize model.safetensors --data photos --examples 200 --layers all --out small.onnx
  $ toeplitz quantize resnet18.onnx --data photos --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --out small.onnx`,
    )
    .action(async (model: string, options: QuantizeCommandOptions, command: Command) => {
      await actions.quantize(model, { ...options, ...flags(command) })
    })
}

function addLook(program: Command, actions: CliActions): void {
  program
    .command('look')
    .description('write a page of what a trained model sees, and of what its layers look for')
    .argument('<model>', trainedModel)
    .argument('[picture...]', 'PNG and JPEG files; left out, test pictures of the data that the run was trained on')
    .option('--out <file>', 'the page', parsePath, lookDefaults.out)
    .option('--layer <name>', 'a layer of feature maps, once for each (default: some convolutions)', collect, [])
    .option('--data <name>', `where many pictures are: ${dataNames.join(', ')}, or a folder (default: the run's)`)
    .option(
      '--images <count>',
      'how many of them are passed through the model',
      parsePositiveInteger,
      lookDefaults.images,
    )
    .option('--seed <number>', 'of the noise of which filters are found again', parseSeed, lookDefaults.seed)
    .addOption(limits.maxPixels())
    .addOption(limits.maxBytes())
    .option('--strict', 'end at a damaged picture in a folder, instead of skipping it')
    .option('--data-dir <dir>', 'folder with the files of the data set (default: the installed package)', parsePath)
    .addHelpText(
      'after',
      `
The page shows the first weights as pictures, feature maps, the patches that excite a map most and what of them it
responds to (a deconvolutional network), occlusion and saliency for the right class, filters found again from noise,
zeros and dead units, linear regions, and the five most probable classes. The right class of a picture is known where
it comes from the data, or from a folder that is called as the class.

Examples:
  $ toeplitz look runs/lenet5-mnist
  $ toeplitz look runs/convnet-cifar10 --data-dir cifar-10-batches-bin --out convnet.html
  $ toeplitz look runs/convnet-photos cat.jpg dog.jpg --layer 4`,
    )
    .action(async (model: string, pictures: string[], options: LookOptions, command: Command) => {
      await actions.look(model, pictures, { ...options, debug: flags(command).debug })
    })
}

const anyModel =
  'model.safetensors or model.json of a model, the folder with it, a .json file with an architecture, the name of one, an .onnx file, or the model.json of TensorFlow.js'

/** Extents of inputs that a file leaves open. */
const shapeOption = (): Option =>
  new Option(
    '--shape <extents>',
    'of the input of an .onnx file or of TensorFlow.js, where they may vary (default: 1 each)',
  ).argParser(collectShapes)

function addSummary(program: Command, actions: CliActions): void {
  program
    .command('summary')
    .description('list the layers of a model: output, parameters, operations')
    .argument('<model>', anyModel)
    .addOption(shapeOption())
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ toeplitz summary convnet --json\n  $ toeplitz summary model.onnx --shape 1,3,224,224',
    )
    .action(async (model: string, options: Pick<InspectOptions, 'shape'>, command: Command) => {
      await actions.summary(model, { ...options, ...flags(command) })
    })
}

function addExplain(program: Command, actions: CliActions): void {
  program
    .command('explain')
    .description('say which algorithm computes each convolutional layer, and what it and the next best would cost')
    .argument('<model>', anyModel)
    .option('--batch <count>', 'inputs that are computed together', parsePositiveInteger, 1)
    .addOption(shapeOption())
    .addOption(
      new Option('--pass <name>', `pass: ${explainPasses.join(', ')}`)
        .argParser(choiceOf(explainPasses))
        .default('forward'),
    )
    .option('--json', 'print JSON, with every algorithm and why it is not taken')
    .addHelpText(
      'after',
      `
Examples:
  $ toeplitz explain vgg16
  $ toeplitz explain convnet --batch 128 --pass all`,
    )
    .action(async (model: string, options: Pick<ExplainOptions, 'batch' | 'pass' | 'shape'>, command: Command) => {
      await actions.explain(model, { ...options, ...flags(command) })
    })
}

function addRun(program: Command, actions: CliActions): void {
  program
    .command('run')
    .description('run a model of another library on a picture, or on arrays of NumPy')
    .argument('<model>', 'an .onnx file, or the model.json of TensorFlow.js')
    .option('--input <file>', 'a PNG, JPEG or .npy file; of several inputs name=file, once for each', collect, [])
    .option('--output <name>', 'a value of the model, once for each that is wanted (default: its outputs)', collect, [])
    .option('--top <count>', 'print the largest values of an output, with their places', parsePositiveInteger)
    .option('--labels <file>', 'names of the classes for --top, one in each line', parsePath)
    .option('--save <file>', 'write the output as .npy; of several each under its name', parsePath)
    .addOption(
      new Option('--fit <name>', `how a picture comes to the model's size: ${fits.join(', ')}`)
        .argParser(choiceOf(fits))
        .default('cover'),
    )
    .option(
      '--resize <pixels>',
      'length of the shorter side of which the middle is taken, such as 256',
      parsePositiveInteger,
    )
    .addOption(
      new Option('--order <name>', 'order of the colours: rgb, bgr').argParser(choiceOf(['rgb', 'bgr'])).default('rgb'),
    )
    .option('--scale <factor>', 'of the pixels, 0 to 255 (default: 1/255, and 1 for bytes)', parsePositiveNumber)
    .option(
      '--mean <numbers>',
      'what is taken off the scaled pixels, one number or one for each channel',
      parseNumbers,
      [0],
    )
    .option('--std <numbers>', 'what they are then divided by', parseNumbers, [1])
    .addOption(limits.maxPixels())
    .addOption(limits.maxBytes())
    .option('--json', 'print one JSON array with every value')
    .addHelpText(
      'after',
      `
What is done to a picture is said on stderr.

Examples:
  $ toeplitz run resnet18.onnx --input cat.jpg --resize 256 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --top 5
  $ toeplitz run model.onnx --input x.npy --save y.npy
  $ toeplitz run model.onnx --input left=a.npy --input right=b.npy --output features --json`,
    )
    .action(async (model: string, options: RunOptions, command: Command) => {
      await actions.run(model, { ...options, ...flags(command) })
    })
}

/** What a worker does where nothing else is asked for. */
const workerDefaults = { threads: 1, concurrency: 1, tries: 3, timeout: 3600, lock: 15 } as const

const redisOption = (what = ''): Option =>
  new Option('--redis <url>', `address of Redis or Valkey, redis:// or rediss:// with TLS${what}`)

const neededRedis = (): Option => redisOption().makeOptionMandatory()

function addWorker(program: Command, actions: CliActions): void {
  const { threads, concurrency, tries, timeout, lock } = workerDefaults
  program
    .command('worker')
    .description('take jobs of searches, predictions and trainings from a queue, until it is interrupted')
    .addOption(neededRedis())
    .option('--threads <count>', 'threads that compute a job; any number gives the same bits', parseThreads, threads)
    .option('--concurrency <count>', 'jobs that are computed at the same time', parsePositiveInteger, concurrency)
    .option('--store <dir>', 'shared folder with the values of jobs (default: Redis holds them)', parsePath)
    .option('--module <file>', 'JavaScript whose functions jobs may name: losses, metrics, trials', parsePath)
    .option(
      '--tries <count>',
      'workers that a job may take with it before it fails for good',
      parsePositiveInteger,
      tries,
    )
    .option('--timeout <seconds>', 'time that a job may take', parsePositiveInteger, timeout)
    .option(
      '--lock <seconds>',
      'time after which the jobs of a worker that is gone are given to others',
      parsePositiveInteger,
      lock,
    )
    .addHelpText(
      'after',
      `
It needs two packages more: npm install bullmq ioredis. Each job that ends is a line of JSON on stdout.

Examples:
  $ toeplitz worker --redis redis://127.0.0.1:6379 --concurrency 2
  $ toeplitz worker --redis rediss://name:password@queue.example.org --module trials.js`,
    )
    .action(async (options: WorkerCommandOptions) => {
      await actions.worker(options)
    })
}

function addJobs(program: Command, actions: CliActions): void {
  program
    .command('jobs')
    .description('show the jobs of a queue, its workers, their rates and the last failures')
    .addOption(neededRedis())
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  $ toeplitz jobs --redis redis://127.0.0.1:6379 --json')
    .action(async ({ redis }: { readonly redis: string }, command: Command) => {
      await actions.jobs({ redis, ...flags(command) })
    })
}

/** A flag that was not typed is absent in commander: a default of false would show in the help. */
function flags(command: Command): { json: boolean; debug: boolean } {
  const { json = false, debug = false } = command.optsWithGlobals<{ json?: boolean; debug?: boolean }>()
  return { json, debug }
}

/** One line; with `debug`, the stack in as many lines as it has. */
function describeFailure(error: unknown, debug: boolean): string | readonly string[] {
  if (debug) return `toeplitz: ${inspect(error)}`
  const message = onOneLine(error instanceof Error && error.message !== '' ? error.message : String(error))
  if (error instanceof ToeplitzError && !isEngines(error)) return [`toeplitz: ${message}`]
  const hint = '(run again with --debug for the stack)'
  if (!isOutOfMemory(error)) return [`toeplitz: ${message} ${hint}`]
  return [`toeplitz: memory ran out (${message}); close other programs, or take a smaller batch, model or file ${hint}`]
}

/** That the engine's memory ran out, and an error tells of it as of a damaged file. */
const isEngines = (error: ToeplitzError): boolean => !(error instanceof OutOfMemoryError) && isOutOfMemory(error)

/** Errors of other programs may be of several lines. */
const onOneLine = (text: string): string => text.trim().replace(/\s*[\r\n]+\s*/g, ' ')
