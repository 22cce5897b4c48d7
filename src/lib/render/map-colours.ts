/** Which colours do maps have that are no text? */
import type {HeatLevel} from './heat-scale.ts'

/** Told apart by people who see fewer colours, too (after Okabe and Ito), as long as there are few. */
const FEW = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8a6d3b', '#6a51a3'] as const
const GOLDEN_ANGLE = 137.508

export const OPEN_COLOUR = '#d00000'
export const INK = '#1f2328'
export const FAINT_INK = '#59636e'

const HEAT: readonly [string, string, string, string, string] = ['#f3f4f6', '#fee8b8', '#fdbb63', '#ef6548', '#8b0000']

export function heatColour(level: HeatLevel): string {
  return HEAT[level]
}

/** Of the `index`-th of `count` primaries; neighbours differ. */
export function ownerColour(index: number, count: number): string {
  const few = FEW[index]
  if (count <= FEW.length && few !== undefined) return few
  const lightness = [0.42, 0.58, 0.7][index % 3] ?? 0.5
  return hex((index * GOLDEN_ANGLE) % 360, 0.6, lightness)
}

function hex(hue: number, saturation: number, lightness: number): string {
  const reach = saturation * Math.min(lightness, 1 - lightness)
  const channel = (n: number): string => {
    const k = (n + hue / 30) % 12
    const value = lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1))
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, '0')
  }
  return `#${channel(0)}${channel(8)}${channel(4)}`
}
