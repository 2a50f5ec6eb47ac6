/// What people type for tunnels: out of their histories, units and scripts, with names of our own.
enum TypedLinesCorpus {
    /// A line and its name are the same here.
    static let cases: [CorpusCase] = lines.map { CorpusCase("typed: \($0)", "", $0) }

    private static let lines = [
        "-N -L 5432:localhost:5432 deploy@db.example.org", "-fNT -L 3306:127.0.0.1:3306 -p 2222 ann@host",
        "-nNT -L 127.0.0.1:8080:web:80 host", "-C -N -R 9000:localhost:3000 root@host",
        "-D 1080 -q -C -N ann@proxy.example.org", "-f -N -D 0.0.0.0:9050 host", "-NL 6379:redis:6379 bastion",
        "-L 8888:localhost:8888 -L 6006:localhost:6006 gpu", "-L 2375:/var/run/docker.sock docker-host",
        "-nNTL /tmp/remote.sock:/var/run/docker.sock host", "-R 2222:localhost:22 -N -T home",
        "-R 0.0.0.0:8080:localhost:80 host", "-R /tmp/s:localhost:5000 host", "-R 1080 host",
        "-J ann@jump:2200 -L 5432:db.internal:5432 app@inner", "-J a,b,c -N -L 1:x:2 d",
        "-o ProxyCommand=nc_-X_connect_-x_proxy:3128_%h_%p host", "-o ProxyJump=bastion -N host",
        "-o ExitOnForwardFailure=yes -o ServerAliveInterval=30 -o ServerAliveCountMax=3 -NT -L 1:a:2 host",
        "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -N -L 1:a:2 host",
        "-oStrictHostKeyChecking=accept-new -oBatchMode=yes -N host",
        "-o ConnectTimeout=10 -o ConnectionAttempts=3 host",
        "-i @/config -o IdentitiesOnly=yes -N host", "-4 -N -L 1:a:2 host", "-6 -N -L [::1]:1:[fd00::2]:2 host",
        "-vvv -N -L 1:a:2 host", "-E /tmp/ssh.log -v -N host", "-S none -o ControlPath=none -N host",
        "-M -S /tmp/cm-%C -fN host", "-g -N -L 8000:web:80 host", "-F none -N host", "-b 127.0.0.1 -N host",
        "-l deploy -p 22022 host -N -L 1:a:2", "ssh://ann@host:2222 -N -L 1:a:2", "-a -x -N host", "-A -N host",
        "-N -o Compression=no -o TCPKeepAlive=yes host", "-N -o PreferredAuthentications=publickey host",
        "-W db:5432 bastion", "-W [::1]:22 bastion", "-q -W %h:%p bastion", "-T -N -n -f -L1:a:2 -R3:b:4 -D5 host",
        "-N -L 5432:db:5432 -L 5433:db2:5432 -o LogLevel=ERROR host", "-tt -L 1:a:2 host", "-K -N host",
        "-o PermitLocalCommand=yes -o LocalCommand=true host",
        "-o PermitLocalCommand=yes_ -oLocalCommand=echo_%n_%p host",
        "-o Tunnel=no -N host", "-o VerifyHostKeyDNS=no -N host", "-o CanonicalizeHostname=no -N host",
        "-o ProxyUseFdpass=no -N host", "-o NumberOfPasswordPrompts=0 -N host", "-o HostKeyAlias=db -p 2200 127.0.0.1",
        "-o User=ann -o Port=2022 host", "-oIdentityAgent=none -oIdentityFile=~/.ssh/id_%h host",
        "-o GlobalKnownHostsFile=/dev/null -N host", "-o SendEnv=LC_ALL -N host", "-o SetEnv=A=1 -N host",
        "-o KbdInteractiveAuthentication=no -o PasswordAuthentication=no host", "-o PubkeyAuthentication=no host",
        "-o HostKeyAlgorithms=+ssh-rsa -o PubkeyAcceptedAlgorithms=+ssh-rsa old", "-c aes128-ctr -m hmac-sha2-256 host",
        "-o KexAlgorithms=diffie-hellman-group14-sha256 host", "-o AddressFamily=inet -N -L 1:a:2 host",
        "-o ClearAllForwardings=yes -N host", "-o GatewayPorts=yes -N -L 1:a:2 host", "-o RekeyLimit=1G_1h -N host",
        "-o StreamLocalBindUnlink=yes -N -L /tmp/s:a:1 host", "-o ForwardAgent=no -N host", "-o IPQoS=throughput host",
        "-o SessionType=none -L 1:a:2 host", "-o ForkAfterAuthentication=no -N host", "-o StdinNull=yes -N host",
        "-o PermitRemoteOpen=none -R 1080 host", "host -L 1:a:2 -N -p 22", "-N host -- -p 23", "-N user@host@corp",
        "-N -p 022 host", "-N -p ssh host", "-Nf host sleep 60", "-L1:a:2 -f host sleep 3600", "-fL1:a:2 host sleep 1m",
        "-N vsock/3", "-N unix/run/x", "-N 'h'", "-N a,b", "-N a;b", "-N a(b", "-N -o Tag=x host",
        "-N -x -a -T -q host",
    ]
}
