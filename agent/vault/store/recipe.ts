/** README.txt of every vault: how to get a VM back on the day nothing of ours is at hand. One page, to be printed. */
export const RECIPE = `This directory is a vault of Lifeboat: backups of virtual machines.

HOW TO GET A VM BACK, WITH NOTHING BUT DEBIAN
=============================================
On any Debian machine with this directory (a copy, a mount), as root:

    apt install casync zstd libvirt-clients libvirt-daemon-system qemu-system-x86 lvm2
    cd /path/to/this/directory

1. Which VM, which night? Each night is a folder points/<id of the VM>/<time, UTC>/.

    grep -H -m1 -o '"name": "[^"]*"' points/*/*/manifest.json

   Go into the folder of the night you want:

    cd points/5d1f3a60-.../20261128T020512Z
    ls                     # manifest.json, domain.xml, one .caibx (and .sums) for each disk
    grep -E 'target|sizeBytes|format|storage|path' manifest.json

2. Make room for each disk, at the path domain.xml names (or another: then change domain.xml). A disk on LVM, of
   sizeBytes as the manifest has them:

    lvcreate --wipesignatures n -L 21474836480b -n web01 vg0         # thick
    lvcreate -V 21474836480b -T vg0/pool -n web01                    # thin

   A disk that was a file (raw or qcow2) is only that file: nothing to be made.

3. Write each disk. casync checks every chunk against its name and stops at a bad one:

    casync extract --store=../../../store vda.caibx /dev/vg0/web01            # LVM
    casync extract --store=../../../store vda.caibx /var/lib/libvirt/images/web01.qcow2

   What must come out, if you like to be sure (the file must say the same before and after):

    sha256sum vda.caibx ; grep indexSha256 manifest.json

4. Define the VM and start it. If the name or the id of the VM is still in use on this host, change <name> and remove
   the <uuid> line first; a second copy that runs beside the first also needs other MAC addresses.

    virsh define domain.xml
    virsh start web01

   An empty domain.xml means that the disks were put in by hand (lifeboat-vault add): write your own.

WITH LIFEBOAT'S PACKAGE it is one command: lifeboat-vault restore web01 --vault /path/to/this/directory

WHAT LIES WHERE
===============
points/<vm>/<time>/   one restore point: manifest.json (facts, the definition), domain.xml, <disk>.caibx (casync's
                      index), <disk>.sums (CRC-32 of its chunk files, a help for quick checks); checked.json: when all
                      its chunks were last read; booted.json: its last boot test
store/<4>/<64>.cacnk  chunks, zstd, named by the SHA-256 of what is in them; shared by all restore points
quarantine/           chunks that no longer hold what their name says; the next backup brings them again
tmp/ state/           of the running vault

Every restore point is whole by itself: removing a folder below points/ harms no other. Never remove chunks by hand:
lifeboat-vault gc knows which are still named.
`
