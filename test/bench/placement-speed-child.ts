// One cluster file, read and planned again and again by one process: milliseconds of each time and its memory, as JSON.
import { readFileSync } from 'node:fs'
import { planOurs } from './placement-ours.ts'

const [path = '', rounds = '5', ...drained] = process.argv.slice(2)
const text = readFileSync(path, 'utf8')
const times = Array.from({ length: Number(rounds) }, () => {
  const before = process.threadCpuUsage()
  const { plan, readMs, planMs } = planOurs(text, drained)
  const { user, system } = process.threadCpuUsage(before)
  return { readMs, planMs, cpuMs: (user + system) / 1000, unplaced: plan.unplaced.length }
})
process.stdout.write(JSON.stringify({ times, rssMib: process.resourceUsage().maxRSS / 1024 }))
