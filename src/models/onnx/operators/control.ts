/** Choices between graphs, and loops of them. */
import { FormatError } from '../../../runtime/errors.js'
import { concat } from '../../../ops/layout.js'
import { tensor } from '../../../tensor/create.js'
import type { AnyTensor } from '../../../tensor/tensor.js'
import { need, numbersOf, type Meaning, type Rows } from '../row.js'

/** Rounds that a loop makes at most: one whose condition never fails would not end. */
const MOST_ROUNDS = 2 ** 16

const If: Meaning = {
  since: 1,
  inputs: [1, 1],
  lower(node, subgraph) {
    const [then, otherwise] = [subgraph(node.graph('then_branch'), 'then'), subgraph(node.graph('else_branch'), 'else')]
    for (const branch of [then, otherwise]) {
      if (branch.outputs !== node.node.outputs.length)
        throw new FormatError(`a branch gives ${branch.outputs} values, and the node ${node.node.outputs.length}`)
    }
    return (inputs, context, outer) => {
      const [condition] = numbersOf(need(inputs, 0))
      return (condition ? then : otherwise).run([], context, outer)
    }
  },
}

/** Results of rounds, each with an axis before its own, one after another. */
function stacked(rounds: readonly AnyTensor[]): AnyTensor {
  return concat(
    rounds.map((each) => each.reshape([1, ...each.shape])),
    0,
  )
}

const Loop: Meaning = {
  since: 1,
  inputs: [2, Infinity],
  lower(node, subgraph) {
    const body = subgraph(node.graph('body'), 'body')
    const carried = node.inputs - 2
    const scanned = body.outputs - 1 - carried
    if (body.inputs !== carried + 2 || scanned < 0 || node.node.outputs.length > carried + scanned)
      throw new FormatError(
        `the body takes ${body.inputs} values and gives ${body.outputs}, and the loop carries ${carried}`,
      )
    return (inputs, context, outer) => {
      const most = inputs[0] ? (numbersOf(inputs[0])[0] as number) : Infinity
      let goesOn = inputs[1] ? Boolean(numbersOf(inputs[1])[0]) : true
      let values: readonly (AnyTensor | undefined)[] = inputs.slice(2)
      const scans = Array.from({ length: scanned }, (): AnyTensor[] => [])
      for (let round = 0; goesOn && round < most; round++) {
        if (round === MOST_ROUNDS) throw new FormatError(`the loop goes on for more than ${MOST_ROUNDS} rounds`)
        const given = body.run(
          [tensor([round], [], { dtype: 'int64' }), tensor([true], [], { dtype: 'bool' }), ...values],
          context,
          outer,
        )
        values = given.slice(1, 1 + carried)
        scans.forEach((list, index) => list.push(given[1 + carried + index] as AnyTensor))
        // What the condition is matters only where another round could follow.
        goesOn = round + 1 < most && Boolean(numbersOf(given[0] as AnyTensor)[0])
      }
      const results = values.map((value) => value?.alias())
      return [
        ...results,
        ...scans.map((list) => {
          if (list.length === 0) throw new FormatError('a loop of no rounds gives no results to put together')
          return stacked(list)
        }),
      ]
    }
  },
}

export const control: Rows = { If: [If], Loop: [Loop] }
