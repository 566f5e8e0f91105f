/** The part of ConvNetJS 0.3.0 that the benches use; it comes without types. */
declare module 'convnetjs' {
  class Vol {
    constructor(width: number, height: number, depth: number, value?: number)
    sx: number
    sy: number
    depth: number
    w: Float64Array
    dw: Float64Array
  }

  interface Layer {
    layer_type: string
    out_sx: number
    out_sy: number
    out_depth: number
    filters?: Vol[]
    biases?: Vol
  }

  interface ParametersAndGradients {
    params: Float64Array
    grads: Float64Array
    l1_decay_mul?: number
    l2_decay_mul?: number
  }

  class Net {
    layers: Layer[]
    makeLayers(definitions: { [option: string]: string | number }[]): void
    getParamsAndGrads(): ParametersAndGradients[]
  }

  class Trainer {
    constructor(
      network: Net,
      options: { method: 'sgd'; learning_rate: number; momentum: number; l2_decay: number; batch_size: number },
    )
    train(image: Vol, label: number): { cost_loss: number }
  }

  const convnetjs: { Vol: typeof Vol; Net: typeof Net; Trainer: typeof Trainer }
  export default convnetjs
  export type { Layer, Net, ParametersAndGradients, Trainer, Vol }
}
