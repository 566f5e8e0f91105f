/** What a stranger's program does with the package: a network learns for a few steps. */
import { crossEntropy, init, normal, runtimeInfo, scope, SGD, valueAndGrad } from 'toeplitz'
import { convnet } from 'toeplitz/zoo'

export async function answer(options) {
  await init(options)
  const model = convnet({ input: [1, 16, 16], seed: 3 })
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 })
  const x = normal([8, 1, 16, 16], { seed: 1 })
  const losses = Array.from({ length: 5 }, () =>
    scope(() => {
      const loss = valueAndGrad(() => crossEntropy(model.forward(x), [0, 1, 2, 3, 4, 5, 6, 7]))
      const { value, gradients } = loss(...model.parameters())
      optimizer.step(gradients)
      return value.item()
    }),
  )
  return { losses, simd: runtimeInfo().simd }
}
