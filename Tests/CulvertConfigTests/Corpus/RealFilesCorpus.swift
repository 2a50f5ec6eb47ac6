/// Files in the forms in which services write them and people keep them: written anew, with names of our own.
enum RealFilesCorpus {
    static let cases: [CorpusCase] = services + people

    private static let services: [CorpusCase] = [
        CorpusCase(
            "step's",
            """
            Match exec "test %h = web.step.example"
            \tUserKnownHostsFile "/home/ann/.step/ssh/known_hosts"
            \tProxyCommand step ssh proxycommand %r %h %p
            """, "ann@web.step.example"),
        CorpusCase(
            "step's, another host",
            """
            Match exec "test %h = web.step.example"
            \tUserKnownHostsFile "/home/ann/.step/ssh/known_hosts"
            """, "other.example"),
        CorpusCase(
            "Teleport's",
            """
            # Common flags for all t.example hosts
            Host *.t.example proxy.t.example
                UserKnownHostsFile "/home/ann/.tsh/known_hosts"
                IdentityFile "/home/ann/.tsh/keys/proxy.t.example/ann"
                CertificateFile "/home/ann/.tsh/keys/proxy.t.example/ann-ssh/t.example-cert.pub"
                HostKeyAlgorithms rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-rsa-cert-v01@openssh.com

            # Flags for all t.example hosts except the proxy
            Host *.t.example !proxy.t.example
                Port 3022
                ProxyCommand "/usr/local/bin/tsh" proxy ssh --cluster=t.example --proxy=proxy.t.example:443 %r@%h:%p
            """, "root@db.t.example"),
        CorpusCase(
            "cloudflared's",
            """
            Host ssh.cf.example
              ProxyCommand /usr/local/bin/cloudflared access ssh --hostname %h
            Match host cert.cf.example exec "test -n %h"
              ProxyCommand /usr/local/bin/cloudflared access ssh --hostname %h
              IdentityFile ~/.cloudflared/%h-cf_key
              CertificateFile ~/.cloudflared/%h-cf_key-cert.pub
            """, "cert.cf.example"),
        CorpusCase(
            "AWS Systems Manager's",
            #"""
            # SSH over Session Manager
            host i-* mi-*
                ProxyCommand sh -c "aws ssm start-session --target %h --document-name AWS-StartSSHSession --parameters 'portNumber=%p'"
                User ec2-user
            """#, "i-0123456789abcdef0"),
        CorpusCase(
            "AWS EC2 Instance Connect's",
            "Host i-*\n  ProxyCommand aws ec2-instance-connect open-tunnel --instance-id %h\n  User ubuntu\n", "i-0a1"),
        CorpusCase(
            "gcloud's",
            """
            # Google Compute Engine Section
            Host web.europe-west1-b.project
                HostName 192.0.2.7
                IdentityFile /home/ann/.ssh/google_compute_engine
                UserKnownHostsFile=/home/ann/.ssh/google_compute_known_hosts
                HostKeyAlias=compute.1234567890123456789
                IdentitiesOnly=yes
                CheckHostIP=no
            # End of Google Compute Engine Section
            """, "web.europe-west1-b.project"),
        CorpusCase(
            "GCP's IAP",
            """
            Host iap-*
              ProxyCommand gcloud compute start-iap-tunnel %n %p --listen-on-stdin --project=p --zone=z --verbosity=warning
              ProxyUseFdpass no
              CheckHostIP no
              HostKeyAlias compute.42
            """, "iap-web"),
        CorpusCase(
            "Azure's",
            "Host az\n  HostName 192.0.2.9\n  CertificateFile \"/tmp/aad/id_rsa.pub-aadcert.pub\"\n"
                + "  IdentityFile \"/tmp/aad/id_rsa\"\n  User ann@example.com\n", "az"),
        CorpusCase(
            "Vagrant's",
            """
            Host default
              HostName 127.0.0.1
              User vagrant
              Port 2222
              UserKnownHostsFile /dev/null
              StrictHostKeyChecking no
              PasswordAuthentication no
              IdentityFile /home/ann/box/.vagrant/machines/default/virtualbox/private_key
              IdentitiesOnly yes
              LogLevel FATAL
              PubkeyAcceptedKeyTypes +ssh-rsa
              HostKeyAlgorithms +ssh-rsa
            """, "default"),
        CorpusCase("GitLab CI's", "Host *\n\tStrictHostKeyChecking no\n\n", "deploy@web"),
        CorpusCase(
            "GitLab's runner", "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile=/dev/null\n  LogLevel ERROR\n",
            "-T -i @/config git@host"),
        CorpusCase(
            "Lima's",
            """
            Host lima-default
              IdentityFile "/Users/ann/.lima/_config/user"
              StrictHostKeyChecking no
              UserKnownHostsFile /dev/null
              NoHostAuthenticationForLocalhost yes
              PreferredAuthentications publickey
              Compression no
              BatchMode yes
              IdentitiesOnly yes
              Ciphers "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
              User ann
              ControlMaster auto
              ControlPath "/Users/ann/.lima/default/ssh.sock"
              ControlPersist yes
              Hostname 127.0.0.1
              Port 60022
            """, "lima-default"),
        CorpusCase(
            "Tailscale's", "Match host *.ts.example\n  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n",
            "box.ts.example"),
        CorpusCase("Nebula's", "Host *.nebula\n  HostName %h.example.org\n  Port 4242\n  User root\n", "db.nebula"),
        CorpusCase(
            "Tor's",
            "Host *.onion\n  ProxyCommand nc -X 5 -x 127.0.0.1:9050 %h %p\n  CheckHostIP no\n  Compression yes\n",
            "abcdefghij234567.onion"),
        CorpusCase(
            "a key on a token", "Host token\n  PKCS11Provider /usr/lib/opensc-pkcs11.so\n  IdentityFile none\n", "token"
        ),
        CorpusCase(
            "1Password's agent", "Host *\n  IdentityAgent \"~/.1password/agent.sock\"\n  IdentitiesOnly no\n"),
        CorpusCase(
            "gpg's agent", "Match host * exec \"true || gpg-connect-agent updatestartuptty /bye\"\nIdentityAgent none\n"
        ),
    ]

    private static let bastion = """
        # the way in
        Host jump jump.corp.example
            HostName jump.corp.example
            User ann.lee
            IdentityFile ~/.ssh/corp_ed25519
            ProxyJump none
        Host *.corp.example !jump.corp.example
            ProxyJump jump
            User deploy
        Host db-*
            HostName %h.corp.example
            ProxyJump jump
            LocalForward 127.0.0.1:15432 localhost:5432
            ExitOnForwardFailure yes
        Host *
            ServerAliveInterval 30
            ServerAliveCountMax 4
            IdentitiesOnly yes
            AddKeysToAgent yes
            ControlPath ~/.ssh/cm-%C
        """

    private static let people: [CorpusCase] = [
        CorpusCase("a bastion: itself", bastion, "jump"),
        CorpusCase("a bastion: behind it", bastion, "web.corp.example"),
        CorpusCase("a bastion: a database", bastion, "db-1"),
        CorpusCase("a bastion: elsewhere", bastion, "example.net"),
        CorpusCase("a bastion: typed away", bastion, "-J none db-1"),
        CorpusCase(
            "Kerberos",
            """
            Host *.krb.example
              GSSAPIAuthentication yes
              GSSAPIDelegateCredentials yes
              GSSAPITrustDNS no
              GSSAPIKeyExchange yes
              PreferredAuthentications gssapi-with-mic,publickey,password
            """, "node.krb.example"),
        CorpusCase(
            "CERN's way",
            """
            Host lxtunnel
              HostName lxtunnel.krb.example
              DynamicForward 8090
              GSSAPIAuthentication yes
            Match host *.krb.example,!lxtunnel.krb.example !exec "false"
              ProxyJump lxtunnel
            """, "db.krb.example"),
        CorpusCase(
            "two accounts of a forge",
            """
            Host work.git personal.git
              HostName git.example.org
              User git
              PreferredAuthentications publickey
            Host work.git
              IdentityFile ~/.ssh/work
            Host personal.git
              IdentityFile ~/.ssh/personal
            """, "personal.git"),
        CorpusCase(
            "wildcards of addresses",
            "Host 10.1.* 192.168.?.*\n  User root\n  StrictHostKeyChecking no\nHost 10.*\n  Port 22022\n",
            "10.1.2.3"),
        CorpusCase(
            "environments by number",
            "Host web??-prod\n Port 2201\nHost web??-stage\n Port 2202\nHost web*\n User www\n",
            "web07-stage"),
        CorpusCase(
            "an old switch",
            """
            Host switch*
              KexAlgorithms +diffie-hellman-group1-sha1,diffie-hellman-group-exchange-sha1
              HostKeyAlgorithms +ssh-rsa,ssh-dss
              PubkeyAcceptedAlgorithms +ssh-rsa
              Ciphers +aes128-cbc,3des-cbc
              MACs +hmac-sha1,hmac-md5
              RequiredRSASize 1024
            """, "admin@switch1"),
        CorpusCase(
            "hardened",
            """
            Host *
              KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256
              Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com
              MACs hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com
              HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,rsa-sha2-512
              HashKnownHosts yes
              VisualHostKey yes
              UpdateHostKeys yes
              StrictHostKeyChecking yes
            """),
        CorpusCase(
            "at home and away",
            """
            Match originalhost nas exec "test -e @/config"
              HostName 192.168.1.10
            Host nas
              HostName nas.example.org
              Port 2022
            """, "nas"),
        CorpusCase(
            "SOCKS and a web UI",
            "Host proxy\n DynamicForward 127.0.0.1:1080\n LocalForward 8443 ui:443\n RequestTTY no\n"
                + " SessionType none\n StdinNull yes\n ForkAfterAuthentication no\n", "proxy"),
        CorpusCase(
            "sockets of programs",
            "Host dock\n  LocalForward /run/user/1000/docker.sock /var/run/docker.sock\n"
                + "  StreamLocalBindUnlink yes\n  RemoteForward /run/user/1001/gnupg/S.gpg-agent /run/user/1000/agent.extra\n",
            "dock"),
        CorpusCase(
            "a reverse door",
            "Host home\n  RemoteForward 0.0.0.0:2222 localhost:22\n  ServerAliveInterval 15\n"
                + "  ServerAliveCountMax 2\n  TCPKeepAlive no\n  ConnectTimeout 10\n", "home"),
        CorpusCase(
            "a local command",
            "Host vpn\n  PermitLocalCommand yes\n  LocalCommand echo \"up %n %h %p %r\" >/dev/null\n", "vpn"),
        CorpusCase(
            "ServerAliveCountMax of nought",
            "ServerAliveInterval 60\nServerAliveCountMax 0\nNumberOfPasswordPrompts 0\n"),
        CorpusCase(
            "canonical names, of no domain that is",
            """
            CanonicalizeHostname yes
            CanonicalDomains a.invalid b.invalid.
            CanonicalizeMaxDots 2
            Match canonical host *.a.invalid
              Port 1
            Match canonical
              User ann
            """, "db"),
        CorpusCase(
            "canonical names, enough dots",
            "CanonicalizeHostname yes\nCanonicalDomains a.invalid\nMatch canonical\nPort 3\n",
            "a.b.c"),
        CorpusCase(
            "canonical names, no fallback",
            "CanonicalizeHostname yes\nCanonicalDomains a.invalid\n"
                + "CanonicalizeFallbackLocal no\n", "db"),
        CorpusCase(
            "canonical names, no fallback behind a proxy",
            "CanonicalizeHostname yes\nCanonicalDomains a.invalid\n"
                + "CanonicalizeFallbackLocal no\nProxyCommand nc %h %p\nMatch canonical\nPort 4\n", "db"),
        CorpusCase(
            "canonical names, always",
            "CanonicalizeHostname always\nCanonicalDomains a.invalid\n"
                + "CanonicalizeFallbackLocal no\nProxyJump gate\n", "db"),
        CorpusCase(
            "canonical names, an address",
            "CanonicalizeHostname yes\nCanonicalDomains a.invalid\n"
                + "CanonicalizeFallbackLocal no\nMatch canonical host 127.0.0.1\nPort 5\n", "127.1"),
        CorpusCase(
            "canonical names, aliases",
            "CanonicalizeHostname yes\nCanonicalDomains a.invalid\n"
                + "CanonicalizePermittedCNAMEs *.a.invalid:*.b.invalid,*.c.invalid *:*.d.invalid\nProxyCommand x\n",
            "db"),
        CorpusCase(
            "canonical names, a second pass",
            """
            Host db
              HostName primary
              CanonicalizeHostname yes
            Host primary
              Port 7
            Match final host primary
              User final
            """, "db"),
        CorpusCase(
            "included by number", "Include @/a* @/b\nPort 9\n", "host", more: ["a1": "User a1\n", "b": "User b\n"]),
        CorpusCase(
            "included where it does not apply", "Host x\nInclude @/a\nHost *\nPort 2\n", "host", more: ["a": "Port 1\n"]
        ),
        CorpusCase("included, and nothing is there", "Include @/nothing-*\nInclude @/none\nPort 3\n"),
        CorpusCase("ProxyUseFdpass", "ProxyUseFdpass yes\nProxyCommand helper --fd %h %p\n"),
        CorpusCase("ProxyUseFdpass without a proxy", "ProxyUseFdpass yes\n", "-p 23 host"),
    ]
}
