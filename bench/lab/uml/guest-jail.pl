#!/usr/bin/perl
# Starts a guest's kernel with the host's files out of its reach: guest-jail.pl EXCHANGE SCRATCH COMMAND...
#
# Expects to be alone in a mount namespace and the first process of a process namespace. Every mount becomes read-only by the host's
# kernel, not by the guest's, whose root could undo that: the guest reads the host's files through hostfs, and what it can write
# through hostfs is EXCHANGE alone ("-" = nothing). SCRATCH is an existing folder that becomes a file system in memory, where the
# guest's kernel keeps its own memory and sockets.
#
# Perl, here and in guest-init.pl, because it is part of every Debian (perl-base), starts in no time, and can do system calls: each
# mount(8) would be a process, and processes are dear in a guest.

use strict;
use warnings;

# Numbers of x86-64, the only architecture for which Debian has a user-mode kernel of 64 bits.
my ($SYS_mount, $SYS_mount_setattr) = (165, 442);
my ($MS_NOSUID, $MS_NODEV, $MS_BIND) = (2, 4, 4096);
my ($AT_FDCWD, $AT_RECURSIVE, $MOUNT_ATTR_RDONLY) = (-100, 0x8000, 1);

my ($exchange, $scratch, @command) = @ARGV;

call("bind $exchange", $SYS_mount, $exchange, $exchange, "", $MS_BIND, 0) if $exchange ne "-";
attributes("make every mount read-only", "/", $AT_RECURSIVE, $MOUNT_ATTR_RDONLY, 0);
attributes("make $exchange writable", $exchange, 0, 0, $MOUNT_ATTR_RDONLY) if $exchange ne "-";
# The guest's memory is mapped from a file there, also for execution.
call("make a file system in memory on $scratch", $SYS_mount, "uml", $scratch, "tmpfs", $MS_NOSUID | $MS_NODEV, "mode=0700");

%ENV = (PATH => "/usr/sbin:/usr/bin:/sbin:/bin", HOME => $scratch, TMPDIR => $scratch);
my $kernel = fork // fail("fork");
if ($kernel == 0) {
  # A kernel that is lost ends its process group, and this must not be ours.
  setpgrp;
  exec { $command[0] } @command or fail("run $command[0]");
}
# The first process of a process namespace does not die of its own signals, so the kernel is another. Whoever is left ends with us.
waitpid $kernel, 0;
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);

# struct mount_attr: attr_set, attr_clr, propagation, userns_fd (mount_setattr(2)).
sub attributes {
  my ($what, $path, $flags, $set, $clear) = @_;
  my $attributes = pack("Q4", $set, $clear, 0, 0);
  call($what, $SYS_mount_setattr, $AT_FDCWD, $path, $flags, $attributes, length $attributes);
}

# A number in an argument must be one, and a string must be its own variable: perl passes the address of its bytes.
sub call {
  my ($what, $number, @arguments) = @_;
  fail($what) if syscall($number, @arguments) == -1;
}

sub fail {
  my ($what) = @_;
  print STDERR "guest-jail: cannot $what: $!\n";
  exit 125;
}
