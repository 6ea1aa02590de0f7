#!/usr/bin/perl
# The first process of a guest: makes a root that can be written, then runs what the other end of the serial line asks for.
#
# The root that the kernel mounts is the host's file tree by hostfs, read-only. Over it lies a file system in memory, so a command
# finds everything that is installed on the host, writes wherever it likes, and all of that is gone with the guest.
#
# On the line, both ways: frames of [u32 length of the payload][u8 kind][u16 process][payload], big-endian; guest-line.ts has the
# other end and says what each kind means. The guest ends when the line asks for it or hangs up.

use strict;
use warnings;
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK O_RDWR O_NOCTTY);
use POSIX ();

# System calls of x86-64, the only architecture with a Debian user-mode kernel of 64 bits, and constants of Linux's headers.
my ($SYS_mount, $SYS_umount2, $SYS_pivot_root) = (165, 166, 155);
my ($SYS_sync, $SYS_reboot, $SYS_sethostname, $SYS_finit_module) = (162, 169, 170, 313);
my ($MS_MOVE, $MNT_DETACH) = (8192, 2);
my ($REBOOT_MAGIC, $REBOOT_MAGIC_2, $REBOOT_POWER_OFF) = (0xfee1dead, 672274793, 0x4321fedc);
my ($TIOCSPTLCK, $TIOCGPTN, $TIOCSWINSZ) = (0x40045431, 0x80045430, 0x5414);

my ($NOTHING, $RUN, $INPUT, $INPUT_END, $SIGNAL, $SIZE, $HALT) = (0, 1, 2, 3, 4, 5, 6);
my ($READY, $OUT, $ERR, $EXIT, $TAKEN, $HEARD) = (65, 66, 67, 68, 69, 70);
my $FRAME_BYTES_MAX = 1 << 20;
my $READ_BYTES = 16_384;
# Of a pipe's 65,536 bytes and more.
my $LAST_READS_MAX = 16;
# Exit codes of shells for a command that cannot be found or run.
my ($NOT_FOUND, $NOT_RUN) = (127, 126);

my $line;
my $received = "";
# By the number that the line gave: { pid, in, out, err, terminal, input, input_ended }.
my %processes;

eval { main() };
print STDERR "guest-init: $@";
power_off();

sub main {
  $SIG{PIPE} = "IGNORE";
  %ENV = (PATH => "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME => "/root", TERM => "dumb");
  make_root();
  open_line();
  pipe(my $child_ended, my $wake) or die "pipe: $!";
  non_blocking($_) for $child_ended, $wake;
  $SIG{CHLD} = sub { syswrite $wake, "." };
  put($READY, 0, (POSIX::uname())[2]);
  serve($child_ended);
}

# --- the root

sub make_root {
  my $release = (POSIX::uname())[2];
  mount("proc", "/proc", "proc", 0, "");
  mount("run", "/run", "tmpfs", 0, "mode=0755");
  load_module("/usr/lib/uml/modules/$release/kernel/fs/overlayfs/overlay.ko");
  mkdir "/run/$_" for qw(upper work root);
  mount("overlay", "/run/root", "overlay", 0, "lowerdir=/,upperdir=/run/upper,workdir=/run/work");
  mkdir "/run/root/$_" for qw(proc sys dev run tmp old);
  mount("/proc", "/run/root/proc", "", $MS_MOVE, "");
  mount("/dev", "/run/root/dev", "", $MS_MOVE, "");
  enter("/run/root");
  mount("run", "/run", "tmpfs", 0, "mode=0755");
  mkdir "/run/$_" for qw(lock netns);
  mount("sys", "/sys", "sysfs", 0, "");
  mkdir "/dev/$_" for qw(pts shm);
  mount("devpts", "/dev/pts", "devpts", 0, "mode=620,ptmxmode=666");
  mount("shm", "/dev/shm", "tmpfs", 0, "mode=1777");
  symlink "/proc/self/fd", "/dev/fd";
  symlink "/proc/self/fd/$_->[0]", "/dev/$_->[1]" for [0, "stdin"], [1, "stdout"], [2, "stderr"];
  mkdir "/lib/modules";
  symlink "/usr/lib/uml/modules/$release", "/lib/modules/$release";
  my $name = "guest";
  call("sethostname", $SYS_sethostname, $name, length $name);
}

# The new root in the place of the old one, not by chroot: a process that enters a mount namespace starts at that one's root.
sub enter {
  my ($root) = @_;
  chdir $root or die "chdir $root: $!\n";
  my ($new, $old, $old_inside) = (".", "old", "/old");
  call("pivot_root", $SYS_pivot_root, $new, $old);
  chroot "." or die "chroot: $!\n";
  chdir "/" or die "chdir /: $!\n";
  # The overlay keeps what it needs of the old root.
  call("umount $old_inside", $SYS_umount2, $old_inside, $MNT_DETACH);
  rmdir $old_inside;
}

sub mount {
  my ($source, $target, $type, $flags, $data) = @_;
  call("mount $target", $SYS_mount, $source, $target, $type, $flags, $data);
}

sub load_module {
  my ($path) = @_;
  open(my $file, "<", $path) or die "$path: $!\n";
  my $parameters = "";
  call("load $path", $SYS_finit_module, fileno($file), $parameters, 0);
}

# perl passes a number as it is and of a string the address of its bytes, so both must be variables of that form.
sub call {
  my ($what, $number, @arguments) = @_;
  die "$what: $!\n" if syscall($number, @arguments) == -1;
}

sub power_off {
  # What was written to the exchange folder is still in memory here.
  syscall($SYS_sync);
  syscall($SYS_reboot, $REBOOT_MAGIC, $REBOOT_MAGIC_2, $REBOOT_POWER_OFF, 0);
  sleep 60;
}

# --- the line

sub open_line {
  sysopen($line, "/dev/ttyS0", O_RDWR | O_NOCTTY) or die "/dev/ttyS0: $!\n";
  my $termios = POSIX::Termios->new;
  $termios->getattr(fileno $line);
  $termios->setiflag(0);
  $termios->setoflag(0);
  $termios->setlflag(0);
  $termios->setcflag(POSIX::CS8() | POSIX::CREAD() | POSIX::CLOCAL());
  $termios->setcc(POSIX::VMIN(), 1);
  $termios->setcc(POSIX::VTIME(), 0);
  $termios->setattr(fileno $line, POSIX::TCSANOW()) or die "tcsetattr: $!\n";
}

# Waits until the line has taken the frame: what the other end does not read holds up the commands that write it, as a pipe would.
sub put {
  my ($kind, $process, $payload) = @_;
  my $frame = pack("NCn", length $payload, $kind, $process) . $payload;
  my $at = 0;
  while ($at < length $frame) {
    my $count = syswrite $line, $frame, length($frame) - $at, $at;
    if (defined $count) { $at += $count }
    elsif (!$!{EINTR}) { die "the line: $!\n" }
  }
}

sub serve {
  my ($child_ended) = @_;
  while (1) {
    my ($readable, $writable) = ("", "");
    vec($readable, fileno $_, 1) = 1 for $line, $child_ended;
    for my $process (values %processes) {
      vec($readable, fileno $_, 1) = 1 for grep { defined } @$process{qw(out err)};
      vec($writable, fileno $process->{in}, 1) = 1 if defined $process->{in} && length $process->{input};
    }
    if (select($readable, $writable, undef, undef) < 0) {
      next if $!{EINTR};
      die "select: $!\n";
    }
    for my $number (keys %processes) {
      my $process = $processes{$number};
      feed($number, $process) if defined $process->{in} && vec($writable, fileno $process->{in}, 1);
      my @streams = grep { defined $process->{$_} } qw(err out);
      next if !grep { vec($readable, fileno $process->{$_}, 1) } @streams;
      # Errors first: what complains and then says that it is done, is heard in that order.
      drain($number, $process, $_) for @streams;
    }
    if (vec($readable, fileno $child_ended, 1)) {
      sysread $child_ended, (my $signs), $READ_BYTES;
      reap();
    }
    return if vec($readable, fileno $line, 1) && !receive();
  }
}

# Takes what has come; false when the guest shall end.
sub receive {
  my $count = sysread $line, $received, $READ_BYTES, length $received;
  return 1 if !defined $count && ($!{EINTR} || $!{EAGAIN});
  return 0 if !$count;
  put($HEARD, 0, pack("N", $count));
  while (length $received >= 7) {
    my ($length, $kind, $number) = unpack("NCn", $received);
    die "a frame of $length bytes\n" if $length > $FRAME_BYTES_MAX;
    last if length $received < 7 + $length;
    my $payload = substr $received, 7, $length;
    substr($received, 0, 7 + $length) = "";
    return 0 if $kind == $HALT;
    handle($kind, $number, $payload);
  }
  return 1;
}

sub handle {
  my ($kind, $number, $payload) = @_;
  return if $kind == $NOTHING;
  return run($number, $payload) if $kind == $RUN;
  # What ended meanwhile has said so.
  my $process = $processes{$number} // return;
  if ($kind == $INPUT) {
    $process->{input} .= $payload;
    feed($number, $process);
  }
  elsif ($kind == $INPUT_END) {
    $process->{input_ended} = 1;
    feed($number, $process);
  }
  elsif ($kind == $SIGNAL) { kill unpack("C", $payload), -$process->{pid} }
  elsif ($kind == $SIZE) { resize($process->{out}, unpack("nn", $payload)) if $process->{terminal} }
}

# --- processes

# The payload: strings, each with a zero byte behind it: "ROWS COLUMNS" of a terminal or "", folder, count of variables, variables,
# command, arguments.
sub run {
  my ($number, $payload) = @_;
  my ($terminal, $folder, $variables, @rest) = map { substr $_, 0, -1 } $payload =~ /([^\0]*\0)/g;
  my @environment = splice @rest, 0, $variables;
  my ($process, $prepare) = $terminal eq "" ? pipes() : terminal(split / /, $terminal);
  $process->{pid} = fork // die "fork: $!\n";
  if ($process->{pid} == 0) {
    $SIG{$_} = "DEFAULT" for qw(PIPE CHLD);
    POSIX::setsid();
    $prepare->();
    become($folder, \@environment, \@rest);
  }
  non_blocking($_) for grep { defined } @$process{qw(in out err)};
  $processes{$number} = { %$process, input => "", input_ended => 0 };
}

# Ends of three pipes, and what the child does to have the other ends as its standard streams.
sub pipes {
  pipe(my $in_child, my $in) && pipe(my $out, my $out_child) && pipe(my $err, my $err_child) or die "pipe: $!\n";
  my $prepare = sub {
    my @streams = ($in_child, $out_child, $err_child);
    POSIX::dup2(fileno $streams[$_], $_) // die "dup2: $!\n" for 0 .. 2;
  };
  return ({ in => $in, out => $out, err => $err, terminal => 0 }, $prepare);
}

sub terminal {
  my ($rows, $columns) = @_;
  sysopen(my $master, "/dev/ptmx", O_RDWR | O_NOCTTY) or die "/dev/ptmx: $!\n";
  my ($unlock, $index) = (pack("i", 0), pack("I", 0));
  ioctl($master, $TIOCSPTLCK, $unlock) or die "unlock a terminal: $!\n";
  ioctl($master, $TIOCGPTN, $index) or die "number of a terminal: $!\n";
  resize($master, $rows, $columns);
  open(my $in, ">&", $master) or die "dup: $!\n";
  my $prepare = sub {
    # Opened first by the leader of a session, it becomes that session's own.
    sysopen(my $own, "/dev/pts/" . unpack("I", $index), O_RDWR) or die "open a terminal: $!\n";
    POSIX::dup2(fileno $own, $_) // die "dup2: $!\n" for 0 .. 2;
  };
  return ({ in => $in, out => $master, terminal => 1 }, $prepare);
}

sub resize {
  my ($terminal, $rows, $columns) = @_;
  my $size = pack("S4", $rows, $columns, 0, 0);
  ioctl($terminal, $TIOCSWINSZ, $size);
}

sub become {
  my ($folder, $environment, $command) = @_;
  my $fail = sub {
    my ($code, $what) = @_;
    print STDERR "$what: $!\n";
    POSIX::_exit($code);
  };
  chdir $folder or $fail->($NOT_RUN, $folder);
  %ENV = map { split /=/, $_, 2 } @$environment;
  no warnings "exec";
  exec { $command->[0] } @$command or $fail->($!{ENOENT} ? $NOT_FOUND : $NOT_RUN, $command->[0]);
}

# Gives a command as much of its input as it takes now.
sub feed {
  my ($number, $process) = @_;
  my $in = $process->{in};
  my $length = length $process->{input};
  if (defined $in && $length > 0) {
    my $count = syswrite $in, $process->{input};
    if (defined $count) { put($TAKEN, $number, pack("N", $count)) }
    elsif ($!{EAGAIN} || $!{EINTR}) { $count = 0 }
    else { $process->{in} = undef }
    substr($process->{input}, 0, $count // 0) = "";
  }
  if (!defined $process->{in}) {
    # It reads no more: what comes still is taken and thrown away, as by a closed pipe.
    put($TAKEN, $number, pack("N", length $process->{input})) if length $process->{input};
    $process->{input} = "";
  }
  elsif ($process->{input_ended} && $process->{input} eq "" && !$process->{terminal}) { $process->{in} = undef }
}

# Sends on what a command has said; false when there is no more for now or ever.
sub drain {
  my ($number, $process, $stream) = @_;
  my $count = sysread $process->{$stream}, (my $bytes), $READ_BYTES;
  if ($count) {
    put($stream eq "out" ? $OUT : $ERR, $number, $bytes);
    return 1;
  }
  # A terminal that nobody has open any more says EIO.
  $process->{$stream} = undef if defined $count || !($!{EAGAIN} || $!{EINTR});
  return 0;
}

# As the first process it also buries what others left behind.
sub reap {
  while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) {
    my $code = POSIX::WIFSIGNALED($?) ? 128 + POSIX::WTERMSIG($?) : POSIX::WEXITSTATUS($?);
    my ($number) = grep { $processes{$_}{pid} == $pid } keys %processes;
    next if !defined $number;
    my $process = delete $processes{$number};
    for my $stream (qw(err out)) {
      # What it has left in the pipe; not what a child of its own may write for ever.
      for (1 .. $LAST_READS_MAX) { last if !defined $process->{$stream} || !drain($number, $process, $stream) }
    }
    put($EXIT, $number, pack("C", $code));
  }
}

sub non_blocking {
  my ($stream) = @_;
  fcntl($stream, F_SETFL, fcntl($stream, F_GETFL, 0) | O_NONBLOCK) or die "fcntl: $!\n";
}
