import CulvertPlan

@testable import CulvertSSH

extension FuzzTarget {
    /// SSH_MSG_KEXINIT and what two of them agree on (RFC 4253 §7.1). First byte: role and strictness; then the peer's
    /// message, without its number; behind a line break our settings, which a user writes.
    static let negotiation = FuzzTarget(
        "Negotiation", maximumLength: 1500,
        seeds: {
            let lists = [
                "curve25519-sha256,ext-info-s,kex-strict-s-v00@openssh.com", "ssh-ed25519,rsa-sha2-512",
                "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "hmac-sha2-256", "none", "none", "none",
            ]
            func message(_ lists: [String]) -> [UInt8] {
                let names = (lists + ["", ""]).flatMap { Wire.string($0) }
                return [UInt8](repeating: 7, count: 16) + names + [1] + Wire.uint32(0)
            }
            let older = lists.map { $0.hasPrefix("c") ? "diffie-hellman-group14-sha1" : $0 }
            let counter = lists.map { $0.hasPrefix("aes") || $0.hasPrefix("chacha") ? "aes128-ctr" : $0 }
            let over = counter.map { $0 == "none" ? "hmac-sha2-512-etm@openssh.com" : $0 }
            return [
                [3] + message(lists), [1] + message(lists), [0] + message(lists), [3] + message(older),
                [3] + message(counter), [1] + message(counter), [1] + message(over),
                [0x83, 0, 2] + Array("^aes*,-x".utf8) + message(lists),
            ]
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let mode = input.byte()
        var settings = NativeSettings()
        if mode & 0x80 != 0 {
            let text = String(decoding: input.take(input.uint16() & 63), as: UTF8.self)
            switch mode >> 4 & 3 {
            case 0: settings.ciphers = AlgorithmList(text)
            case 1: settings.keyExchange = AlgorithmList(text)
            case 2: settings.hostKeyAlgorithms = AlgorithmList(text)
            default: settings.macs = AlgorithmList(text)
            }
        }
        let role: ConnectionRole = mode & 1 == 1 ? .client : .server
        guard let offer = offer(settings) else { return }
        let own = offer.message(role: role, isFirst: mode & 4 == 0)
        do throws(SSHError) {
            let peer = try parse(input.rest())
            let again = try parse(Array(peer.bytes(cookie: [UInt8](repeating: 1, count: 16)).dropFirst()))
            promise(again == peer, "what is written is what was read")
            check(try Negotiation.agree(own: own, peer: peer, role: role, strict: mode & 2 != 0), own, peer, mode)
        } catch {
            promise(error.kind == .keyExchange || error.kind == .protocolViolation, "\(error.kind)")
            promise(isOneSafeLine(error.description), "an error is one line")
        }
    }

    private static func offer(_ settings: NativeSettings) -> Offer? {
        do throws(SSHError) {
            let offer = try Offer(settings, preferred: ["ssh-rsa"], signer: nil)
            for list in [offer.ciphers, offer.keyExchange, offer.hostKey, offer.macs] {
                promise(!list.isEmpty && Set(list).count == list.count, "a list has names, each once")
            }
            return offer
        } catch {
            promise(error.kind == .unsupported && isOneSafeLine(error.description), "settings are refused in a line")
            return nil
        }
    }

    private static func parse(_ message: [UInt8]) throws(SSHError) -> KeyExchangeInit {
        try withMemory(of: message) { memory throws(SSHError) in
            guard let start = memory.baseAddress else { throw .malformed("SSH_MSG_KEXINIT", "it is empty") }
            return try KeyExchangeInit(WireReader(start: start, count: message.count, of: "SSH_MSG_KEXINIT"))
        }
    }

    private static func check(
        _ agreed: NegotiatedAlgorithms, _ own: KeyExchangeInit, _ peer: KeyExchangeInit, _ mode: UInt8
    ) {
        func shared(_ name: String, _ list: (KeyExchangeInit) -> [String]) -> Bool {
            list(own).contains(name) && list(peer).contains(name)
        }
        promise(shared(agreed.method.rawValue) { $0.keyExchange }, "both have the method")
        promise(shared(agreed.hostKey.name) { $0.hostKey }, "both have the host key's algorithm")
        promise(shared(agreed.clientToServer.name) { $0.ciphersClientToServer }, "both have the cipher")
        promise(shared(agreed.serverToClient.name) { $0.ciphersServerToClient }, "both have the other cipher")
        let isStrict = mode & 2 != 0
        promise(
            isStrict || (!agreed.clientToServer.needsStrictExchange && !agreed.serverToClient.needsStrictExchange),
            "ChaCha20 and MACs over the ciphertext need strict key exchange")
        if let mac = agreed.clientToServer.mac {
            promise(shared(mac.rawValue) { $0.macsClientToServer }, "both have the MAC")
        }
        if let mac = agreed.serverToClient.mac {
            promise(shared(mac.rawValue) { $0.macsServerToClient }, "both have the other MAC")
        }
    }
}
