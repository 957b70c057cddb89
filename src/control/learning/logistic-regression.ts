import { softmax } from '../../analyzer/tree-ensemble.ts'
import type { LabelledRows } from './tree-trainer.ts'

const ROUNDS = 120
const RATE = 1
const PENALTY = 1e-3

/**
 * Multinomial logistic regression on standardised features, and on whether each is missing: what trees have to be better
 * than. Returns a function that gives the class of each row.
 */
export function trainLogistic(training: LabelledRows, classes: number): (rows: LabelledRows) => Uint8Array {
  const { features } = training
  const scale = scaleOf(training)
  const width = 2 * features + 1
  const weights = new Float64Array(classes * width)
  const inputs = inputsOf(training, scale)
  const count = training.labels.length
  const scores = new Float64Array(classes)
  for (let round = 0; round < ROUNDS; round++) {
    const gradient = new Float64Array(weights.length)
    for (let row = 0; row < count; row++) {
      scoresOf(inputs, row, weights, width, scores)
      softmax(scores, 1)
      scores[training.labels[row] as number]! -= 1
      for (let k = 0; k < classes; k++) {
        const slope = (scores[k] as number) / count
        for (let at = 0; at < width; at++) gradient[k * width + at]! += slope * (inputs[row * width + at] as number)
      }
    }
    for (let at = 0; at < weights.length; at++) {
      weights[at]! -= RATE * ((gradient[at] as number) + PENALTY * (weights[at] as number))
    }
  }
  return (rows) => {
    const own = inputsOf(rows, scale)
    return Uint8Array.from(rows.labels, (_, row) => {
      scoresOf(own, row, weights, width, scores)
      return scores.indexOf(Math.max(...scores))
    })
  }
}

interface Scale {
  readonly mean: Float64Array
  readonly spread: Float64Array
}

function scaleOf({ features, values }: LabelledRows): Scale {
  const mean = new Float64Array(features)
  const spread = new Float64Array(features)
  for (let feature = 0; feature < features; feature++) {
    let count = 0
    let sum = 0
    let squares = 0
    for (let at = feature; at < values.length; at += features) {
      const value = values[at] as number
      if (Number.isNaN(value)) continue
      count++
      sum += value
      squares += value * value
    }
    mean[feature] = count === 0 ? 0 : sum / count
    spread[feature] = Math.sqrt(Math.max(1e-6, count === 0 ? 1 : squares / count - (mean[feature] as number) ** 2))
  }
  return { mean, spread }
}

function inputsOf({ features, values }: LabelledRows, { mean, spread }: Scale): Float32Array {
  const width = 2 * features + 1
  const count = values.length / features
  const inputs = new Float32Array(count * width)
  for (let row = 0; row < count; row++) {
    for (let feature = 0; feature < features; feature++) {
      const value = values[row * features + feature] as number
      const isMissing = Number.isNaN(value)
      const standard = isMissing ? 0 : (value - (mean[feature] as number)) / (spread[feature] as number)
      inputs[row * width + feature] = Math.max(-5, Math.min(5, standard))
      inputs[row * width + features + feature] = isMissing ? 1 : 0
    }
    inputs[row * width + 2 * features] = 1
  }
  return inputs
}

function scoresOf(inputs: Float32Array, row: number, weights: Float64Array, width: number, scores: Float64Array): void {
  for (let k = 0; k < scores.length; k++) {
    let sum = 0
    for (let at = 0; at < width; at++) sum += (weights[k * width + at] as number) * (inputs[row * width + at] as number)
    scores[k] = sum
  }
}
