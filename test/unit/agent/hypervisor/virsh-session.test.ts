import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createVirsh, isConnectionLost } from '../../../../agent/hypervisor/virsh-command.ts'
import { createVirshSession } from '../../../../agent/hypervisor/virsh-session.ts'
import type { CommandRecord } from '../../../../shared/domain/operation.ts'
import { errorCode } from '../../../../shared/errors.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'
import { createScriptedRunner, type ScriptedCommand } from '../../../fakes/scripted-runner.ts'

const URI = 'qemu:///system'
const WEB01 = '11111111-2222-4333-8444-000000000001'
const QUESTION = ['domstats', '--raw', '--nowait', '--state', WEB01]
const LOST = 'error: Disconnected from qemu:///system due to end of file'

function world(script: readonly ScriptedCommand[] = []) {
  const clock = createManualClock()
  const run = createScriptedRunner(script)
  const argv = ['virsh', '--connect', URI]
  const session = createVirshSession({ run, argv, saysLost: isConnectionLost, clock })
  const virsh = createVirsh(run, URI, session)
  const program = (index: number) => {
    const found = run.followed[index]
    assert.ok(found, `virsh ${index} was never started`)
    return found
  }
  /** The virsh answers the last line typed into it as the real one does, echo of its line editor included. */
  const answer = (index: number, stdout: readonly string[], stderr: readonly string[] = []) => {
    const { written, print, complain } = program(index)
    const typed = written.at(-2) ?? ''
    const mark = /^echo (\S+);/.exec(typed)?.[1] ?? ''
    const over = `${mark}-over`
    const echo = (line: string) => `virsh # \r<${line.slice(-60)}`
    for (const line of [echo(typed), mark, '', ...stdout, mark, '', echo(written.at(-1) ?? ''), over, ''])
      print(line)
    for (const line of [...stderr, `error: ${over}`]) complain(line)
  }
  return { clock, run, session, virsh, program, answer }
}

const processAnswers: ScriptedCommand = {
  argv: ['virsh', '--connect', URI, ...QUESTION],
  stdout: 'by a process\n',
}

describe('a virsh that stays connected', () => {
  it('while somebody keeps it answers one question after another from one process, and ends with the last keeper', async () => {
    const { run, session, virsh, program, answer } = world()
    const letGo = session.keep()
    const letGoToo = session.keep()
    assert.equal(run.followed.length, 0, 'nothing is started before it is needed')
    for (const text of ['first', 'second']) {
      const asked = virsh.text(QUESTION)
      answer(0, [text, ''])
      assert.equal((await asked).trim(), text)
    }
    assert.deepEqual(run.calls, [])
    assert.equal(run.followed.length, 1)
    letGo()
    letGo()
    assert.equal(program(0).stopped, false)
    letGoToo()
    assert.equal(program(0).stopped, true)
  })

  it('without a keeper each question is a process', async () => {
    const { run, virsh } = world([processAnswers])
    assert.equal(await virsh.text(QUESTION), 'by a process\n')
    assert.equal(run.followed.length, 0)
  })

  it('what a batch prints comes as from a process: one text for each command, complaints apart', async () => {
    const { session, virsh, answer } = world()
    session.keep()
    const asked = virsh.batch([
      ['dumpxml', WEB01],
      ['dumpxml', 'gone'],
    ])
    answer(0, ['<domain/>', '', 'lifeboat-section', ''], ["error: failed to get domain 'gone'"])
    const { sections, stderr } = await asked
    assert.deepEqual(
      sections.map(text => text.trim()),
      ['<domain/>', ''],
    )
    assert.match(stderr, /failed to get domain 'gone'/)
  })

  it('a command that fails is an answer with its complaint, and is recorded with its operation', async () => {
    const { run, session, virsh, clock, answer } = world()
    session.keep()
    const records: CommandRecord[] = []
    const asked = virsh.answer(['resume', WEB01], {
      run: run.observed(record => records.push(record)),
      mayRepeat: true,
    })
    await clock.advance(40)
    answer(0, [], ['error: Failed to resume domain', 'error: Requested operation is not valid'])
    assert.equal((await asked).ok, false)
    assert.deepEqual(
      records.map(({ argv, exitCode, durationMs }) => ({ argv, exitCode, durationMs })),
      [{ argv: ['virsh', '--connect', URI, 'resume', WEB01], exitCode: 1, durationMs: 40 }],
    )
    assert.match(records[0]?.stderrTail ?? '', /not valid/)
  })

  it('what is recorded and must not happen twice is a process', async () => {
    const destroy = ['destroy', WEB01]
    const { run, session, virsh } = world([{ argv: ['virsh', '--connect', URI, ...destroy], stdout: 'done' }])
    session.keep()
    assert.equal(await virsh.text(destroy, { run }), 'done')
    assert.equal(run.followed.length, 0)
  })

  it('a line that virsh cannot parse is answered at once with its complaint', async () => {
    const { session, virsh, program } = world()
    session.keep()
    const asked = virsh.answer(['dominfo', '--nonsense', WEB01])
    const mark = /^echo (\S+);/.exec(program(0).written[0] ?? '')?.[1] ?? ''
    program(0).complain("error: command 'dominfo' doesn't support option --nonsense")
    program(0).print(`${mark}-over`)
    program(0).complain(`error: ${mark}-over`)
    const { ok, stderr } = await asked
    assert.equal(ok, false)
    assert.match(stderr, /doesn't support option/)
  })

  it('the last keeper cuts off nothing: the virsh ends when it has answered', async () => {
    const { session, virsh, program, answer } = world()
    const letGo = session.keep()
    const asked = virsh.text(QUESTION)
    letGo()
    assert.equal(program(0).stopped, false)
    answer(0, ['done'])
    assert.equal((await asked).trim(), 'done')
    assert.equal(program(0).stopped, true)
  })

  it('a question that hangs holds up no other: that one gets a process', async () => {
    const { session, virsh, answer } = world([processAnswers])
    session.keep()
    const slow = virsh.text(['domjobinfo', WEB01])
    assert.equal(await virsh.text(QUESTION), 'by a process\n')
    answer(0, ['late'])
    assert.equal((await slow).trim(), 'late')
  })

  it('past its limit the hypervisor does not answer, and the next question starts another virsh', async () => {
    const { run, session, virsh, clock, program, answer } = world()
    session.keep()
    const records: CommandRecord[] = []
    const by = run.observed(record => records.push(record))
    const asked = virsh.text(QUESTION, { timeoutMs: 5000, run: by, mayRepeat: true })
    const failed = assert.rejects(asked, error => errorCode(error) === 'unavailable')
    await clock.advance(5000)
    await failed
    assert.deepEqual(
      records.map(({ exitCode }) => exitCode),
      [-1],
      'as a process that was ended',
    )
    assert.equal(program(0).stopped, true)
    const again = virsh.text(QUESTION)
    answer(1, ['back'])
    assert.equal((await again).trim(), 'back')
  })

  it('one that ended, or lost its libvirt, in the middle of a question leaves it to a process', async () => {
    for (const happen of [
      ({ program }: ReturnType<typeof world>) => program(0).end(1),
      ({ answer }: ReturnType<typeof world>) => answer(0, [], [LOST, 'error: Reconnected to the hypervisor']),
    ]) {
      const it = world([processAnswers])
      it.session.keep()
      const asked = it.virsh.text(QUESTION)
      happen(it)
      assert.equal(await asked, 'by a process\n')
      void it.virsh.text(QUESTION)
      assert.equal(it.run.followed.length, 2)
    }
  })

  it('one that lost its libvirt between two questions is not asked again', async () => {
    const { run, session, virsh, program, answer } = world()
    session.keep()
    const first = virsh.text(QUESTION)
    answer(0, ['first'])
    await first
    program(0).complain(LOST)
    assert.equal(program(0).stopped, true)
    const second = virsh.text(QUESTION)
    answer(1, ['second'])
    assert.equal((await second).trim(), 'second')
    assert.equal(run.followed.length, 2)
  })

  it('what would mean something to its line editor or shell is never typed', async () => {
    const odd = ['dominfo', "web 01'; destroy web02"]
    const { run, session, virsh } = world([{ argv: ['virsh', '--connect', URI, ...odd], stdout: 'ok' }])
    session.keep()
    assert.equal(await virsh.text(odd), 'ok')
    assert.equal(run.followed.length, 0)
  })

  it('a definition cannot end an answer: the mark is new for each question and cannot be guessed', async () => {
    const { session, virsh, program, answer } = world()
    session.keep()
    const first = virsh.text(['dumpxml', WEB01])
    const mark = /^echo (\S+);/.exec(program(0).written[0] ?? '')?.[1] ?? ''
    answer(0, ['<domain/>'])
    await first
    const second = virsh.text(['dumpxml', WEB01])
    answer(0, ['<domain>', mark, '</domain>'])
    assert.match(await second, /<domain>\n.*\n<\/domain>/)
  })
})
