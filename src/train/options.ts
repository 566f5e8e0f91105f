/** What training takes and tells: options, events, states and histories. */
import type { Signal } from '../runtime/platform.js'
import type { ForwardOptions } from '../nn/graph.js'
import type { FileBytes } from '../formats/safetensors.js'
import type { Layer } from '../nn/layer.js'
import type { Optimizer } from '../optim/optimizer.js'
import type { Tensor } from '../tensor/tensor.js'
import type { TrainingData } from './examples.js'
import type { Metric } from './metrics.js'

/** What `fit` needs of a model: `Sequential`, or anything else with parameters and a forward pass. */
export interface Trainable<Output = Tensor> {
  /** Whether layers behave as in training. */
  readonly training: boolean
  /** Lets layers behave as in training. */
  train(): unknown
  /** Lets layers behave as in use. */
  eval(): unknown
  /** The tensors that are trained: those that the optimizer must have. */
  parameters(): Tensor[]
  /** The same with their names, which errors tell; left out, they tell numbers. */
  namedParameters?(): ReadonlyMap<string, Tensor>
  /** What keeps statistics of batches, which a step that is refused leaves as they were. */
  readonly layers?: readonly Pick<Layer, 'buffers'>[]
  /** Takes weights that were saved: for `earlyStopping.bestWeights`. */
  load?(weights: FileBytes): void
  /** The output for a batch. */
  forward(x: Tensor, options: ForwardOptions): Output
  /** The output, and those whose losses are added to its own, each times its weight; left out: `forward` alone. */
  forwardTraining?(
    x: Tensor,
    options: ForwardOptions,
  ): {
    readonly output: Output
    readonly auxiliary: readonly { readonly output: Output; readonly weight: number }[]
  }
}

/**
 * A scalar tensor to make small: the mean over the batch. Averages over batches are weighted by their examples; of what
 * `crossEntropy` gives, as it is, by the weights of the labels that count, so that those that it ignores count nowhere.
 */
export type Loss<Target, Output = Tensor> = (output: Output, target: Target) => Tensor

/** Averages over the examples so far. */
export interface Averages<Name extends string = string> {
  /** Mean loss of the examples. */
  readonly loss: number
  /** Mean metrics of the examples, by name. */
  readonly metrics: Readonly<Record<Name, number>>
}

/** Where training stands between two steps: numbers only, so that it can be written as JSON. */
export interface FitState {
  /** Steps done, over all epochs. */
  readonly step: number
  /**
   * Sums over the examples of the epoch so far. After the last step of an epoch they are those of the whole epoch: what
   * goes on from there validates first. After validation they are zero.
   */
  readonly sums: {
    readonly examples: number
    readonly loss: number
    readonly metrics: Readonly<Record<string, number>>
    /** What the loss is summed over, where it weighs or ignores labels; left out: the examples. */
    readonly counted?: number
  }
  /** With early stopping: the best epoch so far (from 1), and what validation gave after it. */
  readonly best?: { readonly epoch: number; readonly value: number }
  /** What the steps are counted in: a run that goes on must have the same. States of earlier releases have none. */
  readonly run?: RunFacts
}

/** What makes two runs take the same steps, besides their data. */
export interface RunFacts {
  /** Number of examples. */
  readonly examples: number
  /** Examples in a step. */
  readonly batchSize: number
  /** Whether a last batch that is not full is left out. */
  readonly dropLast: boolean
  /** Seed of the order of examples. */
  readonly seed: number
  /** A checksum of the names and shapes of the model's trained parameters. */
  readonly model: number
}

/** After each training step. */
export interface StepEvent<Name extends string = string> {
  /** Tells the events apart. */
  readonly type: 'step'
  /** Steps done, over all epochs, and the epoch of this one; both from 1. */
  readonly step: number
  /** Number of the epoch, from 1. */
  readonly epoch: number
  /** The loss of this batch. */
  readonly loss: number
  /** That of this step. */
  readonly learningRate: number
  /** With `clipNorm`: the L2 norm of all gradients together, before clipping. */
  readonly gradientNorm?: number
  /** Averages over the epoch so far. */
  readonly running: Averages<Name>
  /** Where to go on from. */
  readonly state: FitState
}

/** After each epoch. */
export interface EpochEvent<Name extends string = string> {
  /** Tells the events apart. */
  readonly type: 'epoch'
  /** Number of the epoch, from 1. */
  readonly epoch: number
  /** Averages over the epoch's training examples, each as it was when its step was taken. */
  readonly training: Averages<Name>
  /** Averages over the validation examples, where there are any. */
  readonly validation?: Averages<Name>
  /** With early stopping: whether this epoch is the best so far. */
  readonly improved?: boolean
  /** Time and speed of the steps of this epoch that this call made, validation left out. */
  readonly seconds: number
  /** Speed of training, without validation. */
  readonly examplesPerSecond: number
  /** From which the run can go on to the bit. */
  readonly state: FitState
}

/** Why a run ended. */
export type Stopped = 'finished' | 'aborted' | 'early'

/** What the iterator of `fit` gives. */
export type FitEvent<Name extends string = string> = StepEvent<Name> | EpochEvent<Name>

/** What happened in a run. One that is iterated gives its steps away, and keeps its epochs for who awaits it afterwards. */
export interface History<Name extends string = string> {
  /** Every step; empty where the run was iterated. */
  readonly steps: readonly StepEvent<Name>[]
  /** Every epoch; where the run was iterated, the last 10,000. */
  readonly epochs: readonly EpochEvent<Name>[]
  /**
   * 'aborted' when the signal ended it after a whole step or between batches of validation, 'early' when validation had not
   * improved for long enough.
   */
  readonly stopped: Stopped
  /** The epoch in which it stopped, from 1. */
  readonly epoch: number
  /** The epoch whose weights the model has: with early stopping the best one, unless the run was aborted. */
  readonly kept: number
  /** From which the run can go on to the bit, with the weights of its last step: those of `kept`, where that is `epoch`. */
  readonly state: FitState
}

/** Called by `fit`, and waited for. */
export interface FitCallbacks<Name extends string = string> {
  /** After each step. */
  onStep?(event: StepEvent<Name>): void | Promise<void>
  /** After each epoch. */
  onEpoch?(event: EpochEvent<Name>): void | Promise<void>
}

/** When to stop because nothing gets better. */
export interface EarlyStopping<Name extends string = string> {
  /** Epochs without improvement after which training ends. */
  readonly patience: number
  /** What must improve on the validation examples: 'loss' (lower is better) or a metric (higher is). Default 'loss'. */
  readonly monitor?: 'loss' | NoInfer<Name>
  /** By how much it must, to count. Default 0. A value that is not a finite number never counts. */
  readonly minimumChange?: number
  /** Whether the model has the weights of the best epoch at the end, which takes their memory once more. Default true. */
  readonly restoreBest?: boolean
  /** For a run that goes on by `start`: what `model.save()` gave after the best epoch so far, `state.best`. */
  readonly bestWeights?: FileBytes
}

/** A part of a step's batch, as what computes it gets it. */
export interface ExchangePart {
  /** The inputs, (examples, …). Tensors last until the call that they are given to returns. */
  readonly x: Tensor
  /** What is wanted for them, as the loss takes it. */
  readonly target: unknown
  /** How many examples the part has. */
  readonly examples: number
  /** Number of the pass: what is random in it depends on the seed and on this number alone. */
  readonly step: number
}

/** What a part of a step's batch gave. */
export interface PartOutcome {
  /** How many examples the part has. */
  readonly examples: number
  /** The mean loss of the part. */
  readonly loss: number
  /** What the loss is a mean over, where it weighs or ignores labels; left out: the examples. */
  readonly weight?: number
  /** Metrics of the part, by name. */
  readonly metrics: Readonly<Record<string, number>>
  /** The gradient of the part's loss by each parameter, in the order of the run's parameters. */
  readonly gradients: readonly Float32Array[]
  /**
   * Left out: `gradients` are those of this part. Otherwise the gradients of so many parts, this one first, were added where they were computed:
   * `gradients` is Σ wₚ · gₚ in the pairwise order, and 0 stands at the other parts of the sum, which have no gradients. The sums of a step
   * begin at multiples of a power of two and have as many parts, the last one perhaps fewer; no part of the step has the weight 0.
   */
  readonly added?: number
  /** The model's statistics of batches after the part, each from where they stood before the step. */
  readonly buffers: readonly Float32Array[]
}

/** What is computed in every step of a run. */
export interface ExchangeRun {
  /** The model, whose weights are those of the step whenever `step` is called. */
  readonly model: Trainable<never>
  /** Names of the parameters whose gradients are wanted, in this order. */
  readonly parameters: readonly string[]
  /** The loss of the run. */
  readonly loss: unknown
  /** The metrics of the run, by name. */
  readonly metrics: Readonly<Record<string, unknown>>
  /** Seed of what is random in a pass. */
  readonly seed: number
}

/** A run whose parts are computed elsewhere. */
export interface ExchangeSession {
  /** What each part gives, in their order, with the weights that the model has now. The tensors are read before it returns. */
  step(parts: readonly ExchangePart[]): Promise<readonly PartOutcome[]>
  /** Ends the run, and frees what it holds. */
  close(): Promise<void>
}

/** What computes the parts of training steps elsewhere: what `remote` of `toeplitz/distributed` gives. */
export interface Exchange {
  /** Begins a run. @throws ShapeError when its model, its loss or a metric cannot be computed elsewhere */
  openExchange(run: ExchangeRun): Promise<ExchangeSession>
}

/** Options of `fit`. */
export interface FitOptions<Target, Output = Tensor, Name extends string = string> {
  /** How often every example is used. */
  readonly epochs: number
  /** Examples in a step. */
  readonly batchSize: number
  /** Whether the last batch of an epoch is left out where it is not full. Default false. */
  readonly dropLast?: boolean
  /** Scalar loss of the model's output (N, …) and the batch's target. */
  readonly loss: Loss<Target, Output>
  /** Made with the parameters of the model that are trained, in any order or groups. */
  readonly optimizer: Optimizer
  /** Learning rate before each step, counted from 0; default: the optimizer's own. */
  readonly schedule?: (step: number) => number
  /** Scales gradients down to this L2 norm, all of them together, where it is exceeded. Default: as they are. */
  readonly clipNorm?: number
  /**
   * Number of parts in which a batch passes through the model; their gradients are added up for one step, so that only
   * one part's feature maps are in memory at a time. The same step up to rounding, batch statistics apart. The loss must be
   * a mean over the examples then, or what `crossEntropy` gives, as it is, whose mean is over the weights of all parts where
   * it has the classes' `weight` or `ignoreIndex`. Default 1.
   */
  readonly accumulate?: number
  /**
   * Number of parts of a step's batch whose gradients are computed apart and added pairwise, in an order that depends on this number
   * alone: the weights are the same to the bit wherever the parts are computed. Each has ⌈batchSize / parts⌉ examples, the last
   * fewer, and a last batch of an epoch has as few parts as it fills. What is random in a pass is drawn for each part. Batch
   * normalization takes the statistics of each part, and its running ones move by the mean over the parts. The loss must be as for
   * `accumulate`, which cannot be given beside it. Default: 8 with `exchange`, else the batch is not divided.
   */
  readonly parts?: number
  /** Where the parts are computed: what `remote` of `toeplitz/distributed` gives. Default: here, with the same bits for the same parts. */
  readonly exchange?: Exchange
  /** What else to measure of every batch, by name. */
  readonly metrics?: Readonly<Record<Name, Metric<Target, Output>>>
  /** Examples to measure after each epoch. */
  readonly validation?: TrainingData<Target>
  /** Ends training when validation stops improving, and goes back to the best weights. */
  readonly earlyStopping?: EarlyStopping<Name>
  /** Called after each step and epoch. */
  readonly callbacks?: FitCallbacks<Name>
  /**
   * Ends training after the step in progress, and validation after its batch in progress. A step whose parts are computed elsewhere is not
   * waited for.
   */
  readonly signal?: Signal
  /** Seed of the order of examples and of what is random in a step. Default 0. */
  readonly seed?: number
  /**
   * State of an earlier run to go on from; weights and optimizer state must be that run's, and so must be the number of
   * examples, the batch size and the seed.
   */
  readonly start?: FitState
  /** Batches that are read ahead, where examples must be read first. Default 2. */
  readonly prefetch?: number
}

/** Options of `evaluate`. */
export interface EvaluateOptions<Target, Output = Tensor, Name extends string = string> {
  /** Examples in a forward pass. */
  readonly batchSize: number
  /** As in `fit`. */
  readonly loss: Loss<Target, Output>
  /** What else to measure of every batch, by name. */
  readonly metrics?: Readonly<Record<Name, Metric<Target, Output>>>
  /** Called with each batch's output, before it is disposed. */
  readonly onBatch?: (output: Output, target: Target, indices: Int32Array) => void
  /** Ends the evaluation after the batch in progress: what it has measured is lost. */
  readonly signal?: Signal
}
