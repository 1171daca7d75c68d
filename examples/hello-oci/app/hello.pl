# Hello answers on a port inside an enclave, and asks troth's agent for what only the agent can give.
# It is in Perl because no template is: whatever runs in a container does the same.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::UNIX;

our $AGENT       = '/run/troth/agent.sock';
my $PATIENCE     = 30;         # seconds for one connection
my $MOST_REQUEST = 8 << 10;
my $MOST_ANSWER  = 1 << 20;
my $STATEMENT    = 'hello from perl';    # what the evidence vouches for

# The agent's status and answer; without a body it is a GET.
sub ask {
    my ($path, $body) = (@_, '');
    my $agent = IO::Socket::UNIX->new(Peer => $AGENT) or return (502, 'the agent does not answer');
    my ($method, $size) = ($body eq '' ? 'GET' : 'POST', length $body);
    print $agent "$method $path HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n",
        "Content-Length: $size\r\nConnection: close\r\n\r\n$body";
    my $text = '';
    while (length $text < $MOST_ANSWER) { sysread($agent, $text, 1 << 16, length $text) or last }
    return $text =~ /\AHTTP\/1\.1 (\d{3})[^\n]*\n.*?\r\n\r\n(.*)\z/s ? ($1, $2) : (502, 'the agent does not answer');
}

sub answer {
    my ($place) = @_;
    if ($place eq '/') { my ($status, $info) = ask('/v1/info'); return ($status, "$STATEMENT: $info") }
    return ask('/v1/random', '{"size":16}') if $place eq '/random';
    return ask('/v1/identity') if $place eq '/identity';
    return ask('/v1/attest', sprintf '{"nonce":"%s","app_data":"%s"}', lc $1, unpack 'H*', $STATEMENT)
        if $place =~ m{\A/evidence/((?:[0-9a-fA-F]{2})+)\z};
    return (400, 'the nonce is not hex') if $place =~ m{\A/evidence/};
    return (404, 'places: / /random /identity /evidence/NONCE');
}

# Reads one request's head and answers it.
sub one {
    my ($client) = @_;
    my $head = '';
    until ($head =~ /\r\n\r\n/) {
        return if length $head > $MOST_REQUEST or not sysread($client, $head, 1 << 10, length $head);
    }
    my ($status, $body) = $head =~ m{\AGET (\S+) HTTP/1\.[01]\r\n} ? answer($1) : (405, 'only GET is answered');
    my $size = 1 + length $body;
    print $client "HTTP/1.1 $status -\r\nContent-Length: $size\r\nConnection: close\r\n\r\n$body\n";
}

sub serve {
    my ($listener) = @_;
    local $SIG{CHLD} = 'IGNORE';
    while (my $client = $listener->accept) {
        defined(my $child = fork) or next;    # too many at once
        if ($child == 0) { alarm $PATIENCE; one($client); close $client; exit 0 }
        close $client;
    }
}

unless (caller) {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1:8080', Listen => 64, ReuseAddr => 1) or die "8080: $@";
    serve($listener);
}
1;
