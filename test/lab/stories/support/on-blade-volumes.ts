// Bundled and run on a blade: the contract of Volumes against LVM and files of a real kernel.
import '../../../contract/host-volumes.test.ts'
