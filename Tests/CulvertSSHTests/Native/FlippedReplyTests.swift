import CulvertPlan
import Testing

@testable import CulvertSSH

/// One bit turned over at the bytes of what a server answers in a key exchange of each kind: the link ends, before anybody
/// is asked about a host key and before anything is said under keys.
@Suite struct FlippedReplyTests {
    /// Where it goes over the wire in the clear; 0: the version line, 1: KEXINIT, then the group, the answer.
    private func play(_ method: String, packet: Int, _ change: @escaping ([UInt8]) -> [UInt8]) throws -> SSHError? {
        var settings = NativeSettings()
        settings.keyExchange = AlgorithmList(method)
        let peer = try ScriptedServer(settings, version: nil)
        peer.names.keyExchange = [method]
        peer.names.ciphers = ["aes128-gcm@openssh.com"]
        var packets = 0
        peer.alters = { bytes in
            packets += 1
            return packets == packet + 1 ? change(bytes) : bytes
        }
        do {
            try peer.raw(Array("SSH-2.0-scripted\r\n".utf8))
            try peer.sayInit()
            if method.contains("exchange") {
                try peer.sayGroup()
                // A length that is false is waited for, and its end never comes.
                if peer.last(32) == nil { return try waits(peer) }
            }
            let derivation = try peer.sayReply()
            if peer.client.authority.hostKeys.isEmpty { return try waits(peer) }
            try peer.sayNewKeys(derivation)
            try peer.say([6] + Script.string("ssh-userauth"), [52])
        } catch let error as SSHError {
            #expect(peer.client.authority.hostKeys.isEmpty && peer.last(21) == nil && !peer.client.isLoggedIn)
            return error
        }
        #expect(peer.client.isLoggedIn)
        return nil
    }

    private func waits(_ peer: ScriptedServer) throws -> SSHError? {
        try peer.raw([UInt8](repeating: 0x55, count: PacketOpener.maximumPacketLength + 64))
        return nil
    }

    /// The long numbers cost too much for every byte: of them every so many.
    private static func stride(_ method: String) -> Int {
        if method.contains("group16") { return 7 }
        if method.hasPrefix("sntrup") { return 17 }
        return method.contains("group18") ? 23 : method.hasPrefix("mlkem") ? 5 : 1
    }

    @Test(arguments: PairTests.furtherMethods)
    func everyByteOfTheAnswer(_ method: String) throws {
        let packets = method.contains("exchange") ? [2, 3] : [2]
        for packet in packets {
            var whole: [UInt8] = []
            let right = try play(method, packet: packet) {
                whole = $0
                return $0
            }
            #expect(right == nil && whole.count > 100)
            for offset in Swift.stride(from: 0, to: whole.count - 4, by: Self.stride(method)) {
                var isPadding = false
                let error = try play(method, packet: packet) { bytes in
                    // A number may have a byte less, so that the padding begins elsewhere each time; what protects it is
                    // only there with keys (RFC 4253 §6).
                    isPadding = offset >= bytes.count - Int(bytes[4])
                    if isPadding { return bytes }
                    var altered = bytes
                    // Not the bit that makes a disconnect (1) of a message's number, 33: a server may say that.
                    altered[offset] ^= 1 << UInt8((offset + 1) % 8)
                    return altered
                }
                let place = "byte \(offset) of \(whole.count) of packet \(packet)"
                if isPadding { continue }
                #expect(
                    error.map { [.keyExchange, .protocolViolation].contains($0.kind) } == true,
                    "\(place): \(String(describing: error))")
            }
        }
    }
}
