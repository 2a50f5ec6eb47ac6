@testable import CulvertConfig

/// What people write into their files, and what they mistype.
enum HandwrittenCorpus {
    static let cases: [CorpusCase] = blocks + matches + syntax + values + lists + forwards + jumps + differences

    /// Who runs the tests.
    private static let user = ConfigurationEnvironment.current().userName

    private static let blocks: [CorpusCase] = [
        CorpusCase("nothing", ""), CorpusCase("comments and blanks", "# a\n\n   # b\n\t\nPort 3 # c\n"),
        CorpusCase(
            "a bastion's file",
            """
            Host bastion
              HostName bastion.example.org
              User jump
              IdentityFile ~/.ssh/id_bastion
            Host prod-*
              User deploy
              HostName %h.internal
              ProxyJump bastion
              LocalForward 5432 db:5432
              ServerAliveInterval 20
              ExitOnForwardFailure yes
            Host *
              ServerAliveCountMax 5
              IdentitiesOnly yes
            """, "prod-1"),
        CorpusCase("first value wins", "Port 1\nPort 2\nHost *\nPort 3\n"),
        CorpusCase("a negated pattern", "Host *.org !x.org\nPort 1\n", "x.org"),
        CorpusCase("a negated pattern, other host", "Host *.org !x.org\nPort 1\n", "y.org"),
        CorpusCase("only a negated pattern", "Host !x.org\nPort 1\n", "y.org"),
        CorpusCase("question marks", "Host h?st\nPort 1\nHost h?\nPort 2\n"),
        CorpusCase("case counts in Host", "Host HOST\nPort 1\nHost host\nPort 2\n", "Host"),
        CorpusCase("names are lowered", "", "SOME.Host"), CorpusCase("an alias is lowered", "HostKeyAlias ABC\n"),
        CorpusCase("addresses are written as the system does", "HostName 127.1\n"),
        CorpusCase("an IPv6 address", "HostName 0:0::1\n"),
        CorpusCase("a typed IPv6 address", "Host ::1\nPort 3\n", "::1"),
        CorpusCase("HostName with a token", "HostName %h.%%x\n"),
        CorpusCase("HostName with a bad token", "HostName %n\n"),
        CorpusCase("Host without a pattern", "Host\nPort 1\n"), CorpusCase("Host of an empty word", "Host \"\"\n"),
        CorpusCase("quoted patterns", "Host \"a b\" \"host\"\nPort 1\n"),
        CorpusCase("a comment behind Host", "Host x # host\nPort 1\n"),
        CorpusCase("-F and -o", "Port 1\n", "-oPort=2 host"),
        CorpusCase("Port behind ssh://", "Port 1\n", "ssh://u@host:9"),
        CorpusCase("a user in a Match", "User ann\nMatch user ann\nPort 5\n"),
    ]

    private static let matches: [CorpusCase] = [
        CorpusCase("Match all", "Match all\nPort 1\n"), CorpusCase("Match !all", "Match !all\nPort 1\n"),
        CorpusCase("Match host list", "Match host a,h*,!x\nPort 1\n"),
        CorpusCase("Match host negated in a list", "Match host h*,!host\nPort 1\n"),
        CorpusCase("Match !host", "Match !host other\nPort 1\n"),
        CorpusCase("Match host=", "Match host=host\nPort 1\n"),
        CorpusCase("Match host quoted", "Match host \"host\"\nPort 1\n"),
        CorpusCase("Match host has no case", "Match host HOST\nPort 1\n"),
        CorpusCase("Match host after HostName", "HostName x\nMatch host x\nPort 1\nMatch originalhost host\nUser a\n"),
        CorpusCase("Match originalhost", "HostName x\nMatch originalhost x\nPort 1\n"),
        CorpusCase("Match user", "Match user ann\nPort 1\n", "ann@host"),
        CorpusCase("Match user has case", "Match user Ann\nPort 1\n", "ann@host"),
        CorpusCase("Match localuser", "Match localuser \(user)\nPort 1\n"),
        CorpusCase("Match !localuser", "Match !localuser \(user)\nPort 1\n"),
        CorpusCase("Match exec true", "Match exec true\nPort 1\n"),
        CorpusCase("Match exec false", "Match exec false\nPort 1\n"),
        CorpusCase("Match !exec", "Match !exec false\nPort 1\n"),
        CorpusCase("Match exec with words", "Match exec \"test %h = host -a %p = 22\"\nPort 1\n"),
        CorpusCase(
            "Match exec sees the tokens", "Match exec \"test '%n %r %u %i %L' = 'host ann %u %i %L'\"\nPort 1\n",
            "ann@host"),
        CorpusCase("Match exec with a bad token", "Match exec \"test %T\"\nPort 1\n"),
        CorpusCase(
            "Match exec is not run after a miss",
            "Match host x exec \"touch @/ran\"\nMatch exec \"test -e @/ran\"\nPort 9\n"),
        CorpusCase("Match exec status", "Match exec \"exit 3\"\nPort 1\n"),
        CorpusCase("Match exec in double quotes only", "Match exec 'true'\nPort 1\n"),
        CorpusCase("Match host and user", "Match host host user ann\nPort 1\n", "ann@host"),
        CorpusCase("Match host and other user", "Match host host user bob\nPort 1\n", "ann@host"),
        CorpusCase("Match final", "Match final\nPort 1\nMatch !final\nUser ann\n"),
        CorpusCase("Match final all", "Match final all\nPort 1\n"),
        CorpusCase("Match canonical", "Match canonical\nPort 1\n"),
        CorpusCase("Match canonical all", "Match canonical all\nPort 1\n"),
        CorpusCase("Match final host", "HostName x.org\nMatch final host x.org\nPort 1\nHost x.org\nUser ann\n"),
        CorpusCase(
            "a final pass adds", "SendEnv A\nHost x\nSendEnv B\nHostName no\nMatch final\nHostName z\nSendEnv C\n"),
        CorpusCase(
            "a final pass and lists", "LocalForward 1 a:2\nIdentityFile ~/x\nCertificateFile ~/y\nMatch final\nPort 1\n"
        ),
        CorpusCase("a final pass and Host", "Host a\nHostName b\nHost b\nPort 1\nMatch final\nUser c\n", "a"),
        CorpusCase("Match without a criterion", "Match\nPort 1\n"), CorpusCase("Match without a value", "Match host\n"),
        CorpusCase("Match with an unknown criterion", "Match hots a\n"),
        CorpusCase("Match all and more", "Match all host a\n"),
        CorpusCase("Match host and all", "Match host host all\nPort 1\n"),
        CorpusCase("Match two and all", "Match host host user root all\nPort 1\n"),
        CorpusCase("Match and a comment", "Match host host # user x\nPort 1\n"),
        CorpusCase("Match all and a comment", "Match all # x\nPort 1\n"),
        CorpusCase("Match a comment", "Match # x\nPort 1\n"),
    ]

    private static let syntax: [CorpusCase] = [
        CorpusCase("an equals sign", "Port=1\nUser = ann\nHostName= x\nBindAddress =10.0.0.1\n"),
        CorpusCase("two equals signs", "User==ann\n"), CorpusCase("quotes", "User \"ann lee\"\nHostKeyAlias 'a b'\n"),
        CorpusCase("a quoted key", "\"Port\" 1\n"), CorpusCase("quotes inside of a word", "User a\"n\"n'e'\n"),
        CorpusCase("escapes", #"User a\ b\"c\'d\\e\f"# + "\n"), CorpusCase("an open quote", "User \"ann\n"),
        CorpusCase("another open quote", "User 'ann\n"), CorpusCase("an empty value", "User \"\"\n"),
        CorpusCase("no value", "User\n"), CorpusCase("a comment for a value", "User # ann\n"),
        CorpusCase("a hash inside of a word", "User a#b\n"), CorpusCase("two values", "User ann bob\n"),
        CorpusCase("any case", "pOrT 1\nUSER ann\n"), CorpusCase("indented", "\t Port 1\n  \tUser ann\t \n"),
        CorpusCase("carriage returns", "Port 1\r\nUser ann\r\n"), CorpusCase("a form feed at the end", "Port 1\u{c}\n"),
        CorpusCase("no line feed at the end", "Port 1\nUser ann"),
        CorpusCase("an unknown key", "Prot 1\n"),
        CorpusCase("an unknown key where nothing applies", "Host x\nProt 1\n"),
        CorpusCase("a bad value where nothing applies", "Host x\nPort none\n"),
        CorpusCase("IgnoreUnknown", "IgnoreUnknown UseKey*,foo\nUseKeychain yes\nFOO \"x\n"),
        CorpusCase("IgnoreUnknown that says no", "IgnoreUnknown *,!foo\nFoo 1\n"),
        CorpusCase("IgnoreUnknown behind", "UseKeychain yes\nIgnoreUnknown *\n"),
        CorpusCase("IgnoreUnknown where nothing applies", "Host x\nIgnoreUnknown *\nHost *\nUseKeychain yes\n"),
        CorpusCase("culvert's own keys", "IgnoreUnknown Culvert*\nHost *\nCulvertLinks 4\nCulvertHold 5s\nPort 3\n"),
        CorpusCase(
            "keys out of use", "Protocol 2\nUseRoaming no\nCompressionLevel 6\nRhostsAuthentication no\nCipher 3des\n"),
        CorpusCase("Debian's names", "ProtocolKeepAlives 3\nUseBlacklistedKeys no\nLogLevel silent\n"),
        CorpusCase(
            "older names", "KeepAlive no\nChallengeResponseAuthentication no\nIdentityFile2 ~/x\nDSAAuthentication no\n"
        ),
    ]

    private static let values: [CorpusCase] =
        ([
            "AddressFamily inet6", "AddressFamily INET", "AddressFamily ip4", "BatchMode yes", "BatchMode Yes",
            "BatchMode 1",
            "BindAddress 127.0.0.2", "CheckHostIP yes", "Compression yes", "Compression maybe", "ConnectionAttempts 4",
            "ConnectionAttempts -1", "ConnectTimeout 1m30", "ConnectTimeout none", "ConnectTimeout 1x",
            "ConnectTimeout 0",
            "ControlMaster auto", "ControlMaster autoask", "ControlPersist 10m", "ControlPersist yes",
            "ControlPersist no",
            "ControlPersist x", "ControlPath none", "EscapeChar none", "EscapeChar ^a", "EscapeChar x", "EscapeChar xy",
            "EscapeChar ^]", "ExitOnForwardFailure yes", "FingerprintHash md5", "FingerprintHash sha224",
            "ForwardX11 yes",
            "ForwardX11Timeout 1h", "ForwardX11Trusted no", "GatewayPorts yes", "GatewayPorts clientspecified",
            "GSSAPIAuthentication yes", "GSSAPIDelegateCredentials yes", "HashKnownHosts yes",
            "HostbasedAuthentication yes",
            "IdentitiesOnly yes", "IdentityAgent none", "IdentityAgent SSH_AUTH_SOCK", "IdentityAgent $SOME_VARIABLE",
            "IPQoS ef", "IPQoS reliability", "IPQoS 0x10", "IPQoS 12 13", "IPQoS cs8", "IPQoS af11 af12 af13",
            "IPQoS none",
            "KbdInteractiveAuthentication no", "KbdInteractiveDevices pam", "LogLevel DEBUG3", "LogLevel quiet",
            "LogLevel x",
            "LogVerbose kex.c:*:1000,x", "LogVerbose none", "NoHostAuthenticationForLocalhost yes",
            "NumberOfPasswordPrompts 0",
            "NumberOfPasswordPrompts x", "PasswordAuthentication no", "PermitLocalCommand yes",
            "LocalCommand echo \"a b\" # c",
            "LocalCommand none", "PermitRemoteOpen a:1 b:*", "PermitRemoteOpen none", "PermitRemoteOpen any",
            "PermitRemoteOpen a", "PermitRemoteOpen any a:1", "PKCS11Provider /lib/x.so", "PKCS11Provider none",
            "PreferredAuthentications publickey,password", "PubkeyAuthentication host-bound",
            "PubkeyAuthentication unbound",
            "PubkeyAuthentication no", "PubkeyAuthentication some", "RekeyLimit 1G", "RekeyLimit 1G 1h",
            "RekeyLimit default none",
            "RekeyLimit 15", "RekeyLimit 0", "RekeyLimit 64K 3600", "RemoteCommand uname -a", "RemoteCommand none",
            "RequestTTY force", "RequestTTY yes", "RequestTTY x", "RequiredRSASize 3072",
            "RevokedHostKeys /etc/revoked",
            "RevokedHostKeys none", "SecurityKeyProvider /lib/sk.so", "SecurityKeyProvider none",
            "ServerAliveInterval 0",
            "ServerAliveInterval 1m", "ServerAliveCountMax 9", "SessionType none", "SessionType subsystem",
            "StdinNull yes",
            "StreamLocalBindMask 0117", "StreamLocalBindMask 9", "StreamLocalBindUnlink yes",
            "StrictHostKeyChecking accept-new",
            "StrictHostKeyChecking off", "StrictHostKeyChecking yes", "StrictHostKeyChecking perhaps",
            "SyslogFacility LOCAL3",
            "SyslogFacility auth", "SyslogFacility kern", "TCPKeepAlive no", "Tunnel ethernet", "Tunnel yes",
            "Tunnel no",
            "TunnelDevice 5", "TunnelDevice any:7", "TunnelDevice x", "UpdateHostKeys ask", "UpdateHostKeys no",
            "VerifyHostKeyDNS yes", "VerifyHostKeyDNS ask", "VisualHostKey yes", "XAuthLocation /x",
            "AddKeysToAgent yes",
            "AddKeysToAgent confirm", "AddKeysToAgent confirm 5m", "AddKeysToAgent 5m", "AddKeysToAgent ask 5m",
            "BindInterface lo", "CanonicalDomains a.org b.org", "CanonicalDomains none", "CanonicalDomains -x",
            "CanonicalizeFallbackLocal no", "CanonicalizeMaxDots 3", "EnableSSHKeysign yes",
            "EnableEscapeCommandline yes",
            "KnownHostsCommand /bin/x %h", "KnownHostsCommand none", "ForwardAgent yes", "Port 0", "Port 65536",
            "Port ssh",
            "ProxyUseFdpass yes", "SmartcardDevice /lib/x.so", "GSSAPIKeyExchange yes", "GSSAPITrustDns yes",
        ] as [String]).map { CorpusCase("value: \($0)", $0 + "\n") }

    private static let lists: [CorpusCase] = [
        CorpusCase(
            "identity files add", "IdentityFile ~/a\nIdentityFile ~/b\nIdentityFile ~/a\nHost *\nIdentityFile %d/c\n"),
        CorpusCase(
            "identity files of -o and the file", "IdentityFile ~/a\n", "-oIdentityFile=~/a -oIdentityFile=/b host"),
        CorpusCase("no identity file", "IdentityFile none\n"),
        CorpusCase("certificates add", "CertificateFile ~/a\nCertificateFile ~/b\nCertificateFile ~/a\n"),
        CorpusCase("known hosts", "UserKnownHostsFile ~/a \"~/b c\" %d/x\nGlobalKnownHostsFile /g /h\n"),
        CorpusCase("known hosts, first line wins", "UserKnownHostsFile ~/a\nUserKnownHostsFile ~/b\n"),
        CorpusCase("known hosts, the usual one", "UserKnownHostsFile ~/.ssh/known_hosts\n"),
        CorpusCase("no known hosts", "UserKnownHostsFile none\nGlobalKnownHostsFile NONE\n"),
        CorpusCase("none beside another", "UserKnownHostsFile none /x\n"),
        CorpusCase("environment names", "SendEnv LANG LC_*\nSendEnv A B -L*\nSetEnv A=1 B=2 A=3\nSetEnv C=4\n"),
        CorpusCase("environment names that are none", "SendEnv A=b\n"),
        CorpusCase("an assignment that is none", "SetEnv A\n"),
        CorpusCase("a cipher", "Ciphers aes128-ctr\n"),
        CorpusCase("a cipher that is none", "Ciphers aes128-ctr,aes128-crt\n"),
        CorpusCase("a cipher that is none, added", "Ciphers +aes128-crt\n"),
        CorpusCase("a cipher that is none, taken away", "Ciphers -aes128-crt\n"),
        CorpusCase("a cipher of the flag that is none", "", "-c aes128-crt host"),
        CorpusCase("a MAC that is none", "MACs hmac-sha2-265\n"),
        CorpusCase("a key exchange that is none", "KexAlgorithms curve22519-sha256\n"),
        CorpusCase("a host key that is none", "HostKeyAlgorithms ssh-ed25518\n"),
        CorpusCase("a key to log in with that is none", "", "-oPubkeyAcceptedAlgorithms=^ssh-ed25518 host"),
        CorpusCase("a tunnel device", "", "-oTunnel=ethernet host"),
        CorpusCase("ciphers of the flag", "Ciphers aes128-ctr\n", "-c aes256-ctr host"),
        CorpusCase(
            "key types of hosts",
            "HostKeyAlgorithms ssh-ed25519,rsa-sha2-512\nKexAlgorithms curve25519-sha256\nMACs hmac-sha1\n"),
        CorpusCase("a limit and then a time", "RekeyLimit 1G\nRekeyLimit 2G 1h\n"),
    ]

    private static let forwards: [CorpusCase] = [
        CorpusCase("forwards of every kind", "LocalForward 1 a:2\nRemoteForward 3 b:4\nDynamicForward 1080\n"),
        CorpusCase("forwards add", "LocalForward 1 a:2\nHost *\nLocalForward 2 a:2\n", "-L 5:x:6 host"),
        CorpusCase("forwards once", "LocalForward 1 a:2\nLocalForward 1 a:2\n", "-L1:a:2 -R1:a:2 host"),
        CorpusCase("forwards as one word", "LocalForward 1:a:2\n"),
        CorpusCase(
            "forwards with addresses", "LocalForward [::1]:1 [::2]:2\nLocalForward *:3 a:4\nRemoteForward b:5 c:6\n"),
        CorpusCase(
            "forwards of sockets", "LocalForward /s a:1\nLocalForward 2 /t\nRemoteForward /u /v\nLocalForward b:3 /w\n"),
        CorpusCase("a forward of everywhere", "LocalForward :1 a:2\n"),
        CorpusCase("a forward without a target", "LocalForward 1\n"),
        CorpusCase("a forward to no port", "LocalForward 1 a\n"),
        CorpusCase("a forward from port 0", "LocalForward 0 a:1\n"),
        CorpusCase("a port that the server chooses", "RemoteForward 0 a:1\n"),
        CorpusCase("a variable in a forward", "LocalForward 1 ${CORPUS}:2\n"),
        CorpusCase("an unknown variable in a forward", "LocalForward 1 ${NOTHING_OF_THAT_NAME}:2\n"),
        CorpusCase("a dynamic forward with an address", "DynamicForward 127.0.0.1:1080\nDynamicForward [::1]:1081\n"),
        CorpusCase("all cleared", "LocalForward 1 a:2\nTunnel yes\nClearAllForwardings yes\n", "-L3:a:4 host"),
        CorpusCase("flags", "Host *\nGatewayPorts no\nPort 7\n", "-4 -g -N -T -v -b 127.0.0.3 -p 8 host"),
        CorpusCase("more flags", "ForwardAgent no\nForwardX11 no\nStdinNull no\n", "-A -X -n -t -t -C -q host"),
        CorpusCase("and more", "ForwardX11Trusted no\nControlPath /x\n", "-Y -a -k -M -S /y -e none -fN host"),
    ]

    private static let jumps: [CorpusCase] = [
        CorpusCase("a jump", "ProxyJump gate\n"), CorpusCase("a jump with all", "ProxyJump ann@gate:23\n"),
        CorpusCase("jumps", "ProxyJump a,bob@b:2,c\n"), CorpusCase("a jump to a number", "ProxyJump 10.0.0.1:9\n"),
        CorpusCase("a jump to an address", "ProxyJump x@[::1]:9\n"),
        CorpusCase("a jump by address", "ProxyJump ssh://u@g:5\n"),
        CorpusCase("no jump", "ProxyJump none\nProxyCommand x\n"),
        CorpusCase("no jump beside one", "ProxyJump none\nProxyJump a\n"),
        CorpusCase("a command", "ProxyCommand nc -X 5 \"%h\" %p # all of it\n"),
        CorpusCase("a command behind =", "ProxyCommand= nc %h\n"),
        CorpusCase("no command", "ProxyCommand none\nProxyJump a\n"),
        CorpusCase("a command, then a jump", "ProxyCommand x\nProxyJump a\n"),
        CorpusCase("a jump, then a command", "ProxyJump a\nProxyCommand x\n"),
        CorpusCase("a jump with a comment", "ProxyJump a # b\n"),
        CorpusCase("a jump without a host", "ProxyJump ann@\n"), CorpusCase("a jump without a user", "ProxyJump @a\n"),
        CorpusCase("a jump to a bad port", "ProxyJump a:x!\n"), CorpusCase("an empty jump", "ProxyJump a,,b\n"),
    ]

    /// One each for what `AllowedDifference` lists.
    private static let differences: [CorpusCase] = [
        CorpusCase("ServerAliveCountMax 0", "ServerAliveCountMax 0\n"),
        CorpusCase("environment name in a jump", "ProxyJump $a\n"),
        CorpusCase("culvert's own keys without IgnoreUnknown", "CulvertLinks 4\n"),
        CorpusCase("-i of a missing file", "", "-i /nothing/of/that/name host"),
        CorpusCase("mask where nothing applies", "StreamLocalBindMask 0117\nHost x\nStreamLocalBindMask 0100\n"),
        CorpusCase("facility where nothing applies", "Host x\nSyslogFacility AUTH\n"),
        CorpusCase("no time and then a time", "ConnectTimeout none\nConnectTimeout 5\n"),
    ]
}
