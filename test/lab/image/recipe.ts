/** Debian release of the lab's hosts, and the one that has a User-Mode Linux kernel new enough. */
export const SUITE = 'trixie'
export const KERNEL_SUITE = 'forky'

/** What a blade of a small fleet has installed. No Node: the package under test brings its own. */
export const PACKAGES = [
  ...['systemd-sysv', 'udev', 'dbus', 'kmod', 'iproute2', 'ethtool', 'iputils-ping', 'procps', 'less'],
  ...['openssh-server', 'openssh-client', 'netcat-openbsd', 'socat', 'adduser'],
  ...['lvm2', 'thin-provisioning-tools', 'mdadm', 'dmsetup', 'e2fsprogs', 'xfsprogs'],
  ...['libvirt-daemon-system', 'libvirt-clients', 'qemu-system-x86', 'qemu-utils', 'ipmitool'],
  // For whoever restores without Lifeboat, by the vault's recipe.
  'casync',
  'user-mode-linux',
]

/** Left out of the image: nobody reads them here, and they are a third of the files. */
export const LEFT_OUT = [
  '/usr/share/doc/*',
  '/usr/share/man/*',
  '/usr/share/locale/*',
  '/usr/lib/uml/modules/*/kernel/sound/*',
]

/** Size of the root file system; sparse, most of it is never written. */
export const ROOT_SIZE = '3G'

/**
 * Units that cost seconds of each boot on this slow kernel and tell a test nothing: periodic housekeeping, consoles
 * there are none of, firmware and TPM work. What a blade's life depends on (md, LVM, libvirt, ssh) is left as Debian
 * ships it.
 */
export const MASKED_UNITS = [
  ...[
    'openipmi.service',
    'ipmievd.service',
    'iscsid.socket',
    'open-iscsi.service',
    'systemd-timesyncd.service',
  ],
  ...['e2scrub_reap.service', 'e2scrub_all.timer', 'apt-daily.timer', 'apt-daily-upgrade.timer'],
  ...['dpkg-db-backup.timer', 'fstrim.timer', 'logrotate.timer', 'man-db.timer'],
  ...['mdcheck_start.timer', 'mdcheck_continue.timer', 'mdmonitor-oneshot.timer'],
  ...[
    'getty@tty1.service',
    'getty.target',
    'systemd-networkd-wait-online.service',
    'blk-availability.service',
  ],
  // A guest here has no ACPI and never answers a shutdown request: waiting for it would hold every power-off.
  'libvirt-guests.service',
  ...['virtlockd.socket', 'virtlockd-admin.socket', 'virtnetworkd.socket'],
  ...['systemd-pcrphase.service', 'systemd-pcrmachine.service'],
  ...['systemd-tpm2-setup.service', 'systemd-tpm2-setup-early.service', 'systemd-firstboot.service'],
  ...['ldconfig.service', 'systemd-journal-catalog-update.service', 'systemd-update-done.service'],
  ...['systemd-hwdb-update.service', 'systemd-binfmt.service', 'proc-sys-fs-binfmt_misc.automount'],
  ...['sys-kernel-debug.mount', 'sys-kernel-tracing.mount', 'dev-hugepages.mount', 'dev-mqueue.mount'],
  ...[
    'modprobe@drm.service',
    'modprobe@fuse.service',
    'modprobe@configfs.service',
    'modprobe@efi_pstore.service',
  ],
]

/** Our own units, enabled in the image. */
export const ENABLED_UNITS = {
  'sysinit.target': ['lab-net.service', 'lab-legs.service'],
  'multi-user.target': ['lab-storage.service', 'lab-seal.service'],
} as const
