/// Files in the forms in which distributions have them: written anew, with names of our own.
enum SystemFilesCorpus {
    private static let debian12 = """
        Include @/*.conf

        Host *
        #   ForwardAgent no
        #   ForwardX11 no
            SendEnv LANG LC_*
            HashKnownHosts yes
            GSSAPIAuthentication yes
        """

    /// What systemd puts beside it, for virtual machines and containers.
    private static let systemd = """
        # Make sure unix/* and vsock/* can be used to connect to local VMs and containers
        Host unix/* unix%* vsock/* vsock%* machine/* machine%*
                ProxyCommand /usr/lib/systemd/systemd-ssh-proxy %h %p
                ProxyUseFdpass yes
                CheckHostIP no
                # Do not pollute known_hosts
                StrictHostKeyChecking no
                UserKnownHostsFile /dev/null

        Host .host machine/.host
                ProxyCommand /usr/lib/systemd/systemd-ssh-proxy unix/run/ssh-unix-local/socket %p
                ProxyUseFdpass yes
                CheckHostIP no
        """

    /// Fedora's crypto policies, as its openssh.config has them, without what ssh 9.2 does not know.
    private static func policy(
        _ ciphers: String, _ macs: String, _ exchanges: String, _ keys: String, rsa: Int
    ) -> [String: String] {
        [
            "50-redhat.conf": """
            # The options here are in the "Match final block" to be applied as the last options
            Match final all
            \t# Follow system-wide Crypto Policy, if defined:
            \tInclude @/openssh.config

            \tGSSAPIAuthentication yes

            # If this option is set to yes then remote X11 clients will have full access
            \tForwardX11Trusted yes
            """,
            "openssh.config": """
            Ciphers \(ciphers)
            MACs \(macs)
            GSSAPIKeyExchange no
            KexAlgorithms \(exchanges)
            HostKeyAlgorithms \(keys)
            PubkeyAcceptedAlgorithms \(keys)
            HostbasedAcceptedAlgorithms \(keys)
            CASignatureAlgorithms \(keys.split(separator: ",").filter { !$0.contains("-cert-") }.joined(separator: ","))
            RequiredRSASize \(rsa)
            """,
        ]
    }

    private static let fedora = "Include @/50-redhat.conf\n"

    private static let nistKeys = """
        ecdsa-sha2-nistp256,ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,\
        ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
        rsa-sha2-256,rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512,rsa-sha2-512-cert-v01@openssh.com
        """

    static let cases: [CorpusCase] = [
        CorpusCase("Debian 12's file", debian12, "ann@host"),
        CorpusCase("Debian 13's file", debian12, "host", more: ["20-systemd-ssh-proxy.conf": systemd]),
        CorpusCase("Debian 13's file, vsock", debian12, "vsock/3", more: ["20-systemd-ssh-proxy.conf": systemd]),
        CorpusCase("Debian 13's file, unix", debian12, "unix/run/vm/ssh", more: ["20-systemd-ssh-proxy.conf": systemd]),
        CorpusCase(
            "Debian 13's file, vsock%", debian12, "-p 2222 vsock%7", more: ["20-systemd-ssh-proxy.conf": systemd]),
        CorpusCase("Debian 13's file, a machine", debian12, "root@machine/web", more: ["20-ssh.conf": systemd]),
        CorpusCase("Debian 13's file, this host", debian12, ".host", more: ["20-systemd-ssh-proxy.conf": systemd]),
        CorpusCase(
            "Ubuntu's file with a provider's", debian12, "host",
            more: ["50-cloudimg.conf": "Host *\n\tIdentitiesOnly yes\n\tServerAliveInterval 60\n"]),
        CorpusCase(
            "Fedora's DEFAULT", fedora, "host",
            more: policy(
                "aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr",
                "hmac-sha2-256-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-512,hmac-sha1",
                "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256",
                "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com," + nistKeys, rsa: 2048)),
        CorpusCase(
            "Fedora's FUTURE", fedora, "ann@host",
            more: policy(
                "aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr",
                "hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-512",
                "curve25519-sha256,ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512",
                "ssh-ed25519," + nistKeys, rsa: 3072)),
        CorpusCase(
            "Fedora's FIPS", fedora, "-p 2222 host",
            more: policy(
                "aes256-gcm@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr",
                "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512",
                "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256",
                nistKeys, rsa: 2048)),
        CorpusCase(
            "FreeIPA's",
            """
            Include @/04-ipa.conf
            Host *
              GSSAPIAuthentication yes
            """, "ann@web.ipa.example",
            more: [
                "04-ipa.conf": """
                # IPA-related configuration changes to ssh_config
                PubkeyAuthentication yes
                GlobalKnownHostsFile /var/lib/sss/pubconf/known_hosts

                # assumes that a user without a shell makes this return nonzero
                Match exec true
                \tProxyCommand /usr/bin/sss_ssh_knownhostsproxy -p %p %h
                """
            ]),
        CorpusCase(
            "FreeIPA's, by a command", "GlobalKnownHostsFile none\nKnownHostsCommand /usr/bin/sss_ssh_knownhosts %H\n"),
        CorpusCase(
            "SUSE's", "Include @/50-suse.conf\n", "host",
            more: [
                "50-suse.conf":
                    "Host *\nSendEnv LANG LC_CTYPE LC_ALL LC_*\nForwardX11Trusted no\nServerAliveInterval 0\n"
            ]),
        CorpusCase(
            "macOS's",
            "IgnoreUnknown UseKeychain\nHost *\n  UseKeychain yes\n  AddKeysToAgent yes\n  SendEnv LANG LC_*\n"),
    ]
}
