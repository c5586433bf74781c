# The lab's guest: a boot sector that counts, 4.5 steps a second, and leaves a witness of every step.
#
# A step is: read back the record of the step before, add one, write the record to the ring, then to sector 1,
# then both again to the second disk if there is one, then print the counter to the serial line. The order is the
# contract of the checker (record.ts): a printed step is on every disk, and the second disk is never ahead.
#
# Disk:   sector 1 = newest record · sectors 8 .. 8+RING-1 = record of step N at 8 + (N mod RING)
# Record: 'LBG1', counter, boots, name (8 bytes), FNV-1a over those five words; the rest of the sector is zero
# Serial: "BOOT" once, then 8 hex digits a step; '!' = what was read back is not what was written, 'E' = I/O error
.intel_syntax noprefix
.code16
.globl _start

.set RING,  16384               # an hour of steps in 8 MiB: a test's whole life, so every lost step shows
.set MAGIC, 0x3147424c          # "LBG1"
.set SEED,  0x811c9dc5
.set PRIME, 0x01000193
.set OUT,   0x8000              # the record being written
.set BACK,  0x8200              # the record read back
.set TICKS, 0x46c               # BIOS data area: timer ticks
.set PACE,  4                   # ticks a step: more of them load the emulated CPUs and prove nothing more
.set DISKS, 0x475               # BIOS data area: number of hard disks

_start:
  jmp short begin
  nop
name: .ascii "unnamed\0"        # offset 3, where a file system keeps its OEM name; written when the guest is made

begin:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  cld
  sti
  mov di, OUT                   # both buffers start empty
  mov cx, 512
  rep stosw
  mov si, offset greeting
1:
  lodsb
  test al, al
  jz 2f
  call put_char
  jmp 1b
2:                              # go on after the newest valid record; without one start at 0
  mov dword ptr [lba], 1
  mov ah, 0x42
  call disk
  mov si, BACK
  call checksum
  cmp eax, [BACK+20]
  jne 3f
  mov eax, [BACK+4]
  mov [OUT+4], eax
  mov eax, [BACK+8]
  mov [OUT+8], eax
3:
  inc dword ptr [OUT+8]
  mov dword ptr [OUT], MAGIC
  mov si, offset name
  mov di, OUT+12
  mov cx, 4
  rep movsw

step:
  mov eax, [TICKS]
1:
  hlt
  mov ebx, [TICKS]
  sub ebx, eax                  # as a difference: the BIOS sets its ticks to 0 at midnight
  cmp ebx, PACE
  jb 1b
  cmp dword ptr [OUT+4], 0
  je 2f
  call ring_sector              # the step before must have lasted
  mov ah, 0x42
  call disk
  mov si, BACK
  call checksum
  cmp eax, [BACK+20]
  jne 3f
  mov eax, [OUT+4]
  cmp eax, [BACK+4]
  je 2f
3:
  mov al, '!'
  call put_char
2:
  inc dword ptr [OUT+4]
  mov si, OUT
  call checksum
  mov [OUT+20], eax
  call write_step
  cmp byte ptr [DISKS], 2
  jb 4f
  inc byte ptr [drive]
  call write_step
  dec byte ptr [drive]
4:
  mov ebx, [OUT+4]
  mov cx, 8
5:
  rol ebx, 4
  mov al, bl
  and al, 15
  cmp al, 10
  jb 6f
  add al, 39
6:
  add al, 48
  call put_char
  loop 5b
  mov al, 10
  call put_char
  jmp step

write_step:                     # ring first: a record in sector 1 always has its twin in the ring
  call ring_sector
  mov ah, 0x43
  call disk
  mov dword ptr [lba], 1
  mov ah, 0x43
  # falls into disk

disk:                           # ah = 0x42: read into BACK, 0x43: write from OUT
  mov byte ptr [buffer+1], OUT >> 8
  cmp ah, 0x43
  je 1f
  mov byte ptr [buffer+1], BACK >> 8
1:
  mov si, offset packet
  mov dl, [drive]
  mov al, 0
  int 0x13
  jnc 2f
  mov al, 'E'
  call put_char
2:
  ret

ring_sector:
  mov eax, [OUT+4]
  and eax, RING-1
  add eax, 8
  mov [lba], eax
  ret

checksum:                       # si = record, result in eax
  mov cx, 5
  mov eax, SEED
1:
  xor eax, [si]
  imul eax, eax, PRIME
  add si, 4
  loop 1b
  ret

put_char:
  push ax
  mov dx, 0x3fd
1:
  in al, dx
  test al, 0x20
  jz 1b
  pop ax
  mov dx, 0x3f8
  out dx, al
  ret

greeting: .asciz "BOOT\n"
drive: .byte 0x80
.align 4
packet: .byte 16, 0
        .word 1
buffer: .word 0x8000, 0
lba:    .long 1, 0

.org 510
.word 0xaa55
