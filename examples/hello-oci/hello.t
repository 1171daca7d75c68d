# perl hello.t
use strict;
use warnings;
use File::Temp 'tempdir';
use FindBin;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Test::More;

our $AGENT;
require "$FindBin::Bin/app/hello.pl";
my $socket = tempdir(CLEANUP => 1) . '/agent.sock';
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1:0', Listen => 8) or die $@;
my $port = $listener->sockport;
my $test = $$;
my @started;

sub started {
    my ($work) = @_;
    my $child = fork;
    if ($child == 0) { $SIG{TERM} = 'DEFAULT'; $work->(); POSIX::_exit(0) }
    push @started, $child;
}
END { if ($$ == $test) { my $code = $?; kill 'TERM', @started; $? = $code } }

sub get {
    my ($place) = @_;
    my $to = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die $@;
    print $to "GET $place HTTP/1.1\r\nHost: hello\r\n\r\n";
    local $/;
    my ($status, $body) = <$to> =~ /\AHTTP\/1\.1 (\d+).*?\r\n\r\n(.*)\z/s;
    return "$status $body";
}

use POSIX ();
started(sub { local $AGENT = $socket; serve($listener) });
is get('/random'), "502 the agent does not answer\n", 'without an agent it says so';

# It stands for the agent, and says what it was asked.
my $agent = IO::Socket::UNIX->new(Local => $socket, Listen => 8) or die $@;
started(sub {
    while (my $one = $agent->accept) {
        my ($asked, $size) = ('', 0);
        while (my $line = <$one>) {
            $asked = $1 if $line =~ /\A(\w+ \S+) HTTP/;
            $size = $1 if $line =~ /\AContent-Length: (\d+)/;
            last if $line eq "\r\n";
        }
        read($one, my $body, $size);
        print $one "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n$asked $body";
    }
});
my %wanted = (
    '/' => "200 hello from perl: GET /v1/info \n",
    '/random' => qq(200 POST /v1/random {"size":16}\n),
    '/identity' => "200 GET /v1/identity \n",
    '/evidence/00FF' => qq(200 POST /v1/attest {"nonce":"00ff","app_data":"68656c6c6f2066726f6d207065726c"}\n),
    '/evidence/%22x' => "400 the nonce is not hex\n",
    '/elsewhere' => "404 places: / /random /identity /evidence/NONCE\n",
);
is get($_), $wanted{$_}, $_ for sort keys %wanted;
done_testing;
