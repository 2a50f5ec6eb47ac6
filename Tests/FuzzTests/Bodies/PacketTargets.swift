@testable import CulvertSSH

private let ciphers: [PacketCipher] = [
    .none, .aes128GCM, .aes256GCM, .chaCha20Poly1305, .aesCTR(.aes128, .sha256OverCiphertext),
    .aesCTR(.aes192, .sha512OverCiphertext), .aesCTR(.aes256, .sha256), .aesCTR(.aes128, .sha512),
]

private func key(_ cipher: PacketCipher, _ direction: PacketKey.Direction) -> PacketKey {
    let key = (0..<cipher.keyLength).map { UInt8($0) &* 7 &+ 3 }
    let iv = (0..<cipher.ivLength).map { UInt8($0) &* 11 &+ 1 }
    let macKey = (0..<cipher.macKeyLength).map { UInt8($0) &* 13 &+ 5 }
    guard let made = try? PacketKey(cipher, key: key.span, iv: iv.span, macKey: macKey.span, direction) else {
        fatalError("this machine has no \(cipher.name)")
    }
    return made
}

/// What an opener makes of bytes: messages, and how it ended.
private struct Opened: Equatable {
    var messages: [[UInt8]] = []
    var fault: SSHError.Kind?
    /// Bytes of whole packets.
    var consumed = 0
}

private func open(_ bytes: [UInt8], _ cipher: PacketCipher, drips: Bool) -> Opened {
    var opener = PacketOpener()
    if cipher != .none { opener.setKey(key(cipher, .opening), resetsSequence: true) }
    var opened = Opened()
    withMemory(of: bytes) { memory in
        guard let start = memory.baseAddress, !bytes.isEmpty else { return }
        var shown = drips ? 0 : bytes.count
        while true {
            do throws(SSHError) {
                let next = try opener.open(start + opened.consumed, available: shown - opened.consumed)
                if let (packet, length) = next {
                    promise(length <= shown - opened.consumed, "a packet lies in what is there")
                    promise(packet.count > 0, "a message has its number")
                    promise(packet.count + 5 + 4 <= length, "a message and its padding lie in its packet")
                    opened.messages.append(Array(UnsafeRawBufferPointer(start: packet.message, count: packet.count)))
                    opened.consumed += length
                } else if shown < bytes.count {
                    shown += 1
                } else {
                    return
                }
            } catch {
                opened.fault = error.kind
                return
            }
        }
    }
    return opened
}

extension FuzzTarget {
    /// Packets with each cipher (RFC 4253 §6). First byte: the cipher, and whether the rest is the wire itself, messages
    /// that are sealed rightly and then damaged, or what stands in a packet that is sealed rightly.
    static let packets = FuzzTarget(
        "Packets", maximumLength: 2048,
        seeds: {
            ([0, 1, 2, 3, 16, 17, 18, 19] as [UInt8]).flatMap { cipher in
                [
                    [cipher, 0, 0, 0, 12, 10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 10, 3],
                    [cipher | 4, 3, 1, 5, 94, 0, 0, 0, 0, 2, 3, 40, 0, 9, 1], [cipher | 4, 2, 1, 20, 90, 0, 0, 0],
                    [cipher | 8, 16, 10, 94, 0, 0, 0, 1, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4],
                ] as [[UInt8]]
            }
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let mode = input.byte()
        let cipher = ciphers[Int(mode & 3 | mode >> 2 & 4)]
        switch mode >> 2 & 3 {
        case 0:
            let wire = input.rest()
            let whole = open(wire, cipher, drips: false)
            promise(whole == open(wire, cipher, drips: true), "byte by byte the same packets are opened")
        case 1: damaged(&input, cipher)
        default: hostile(&input, cipher)
        }
    }

    /// Messages, sealed by us; then one byte of the wire may change. Every message before it arrives whole, none after.
    private static func damaged(_ input: inout FuzzInput, _ cipher: PacketCipher) {
        var sealer = PacketSealer()
        if cipher != .none { sealer.setKey(key(cipher, .sealing), resetsSequence: true) }
        var messages: [[UInt8]] = []
        var wire: [UInt8] = []
        var ends: [Int] = []
        for _ in 0..<Int(input.byte() & 7) {
            let message = [input.byte()] + input.take(Int(input.byte()))
            let length = sealer.wireLength(messageLength: message.count)
            withMemory(of: [UInt8](repeating: 0xc5, count: length)) { memory in
                memory[5..<5 + message.count].copyBytes(from: message)
                guard let start = memory.baseAddress else { fatalError("a packet has bytes") }
                promise(sealer.seal(at: start, messageLength: message.count) == length, "a length is foretold")
                wire += memory
            }
            messages.append(message)
            ends.append(wire.count)
        }
        let right = open(wire, cipher, drips: false)
        promise(right == Opened(messages: messages, fault: nil, consumed: wire.count), "what was sealed is opened")
        guard cipher != .none, !wire.isEmpty else { return }
        let place = input.uint16() % wire.count
        let change = input.byte()
        guard change != 0 else { return }
        wire[place] ^= change
        let altered = open(wire, cipher, drips: false)
        let intact = ends.prefix { $0 <= place }.count
        promise(altered.messages == Array(messages.prefix(intact)), "nothing of a damaged packet is delivered")
        promise(altered == open(wire, cipher, drips: true), "byte by byte the same packets are opened")
    }

    /// Packets whose lengths and paddings are the input's, ciphered with the right key.
    private static func hostile(_ input: inout FuzzInput, _ cipher: PacketCipher) {
        let sealing = key(cipher, .sealing)
        var wire: [UInt8] = []
        var number: UInt32 = 0
        // What is ciphered with a false length of it cannot be told from what was altered.
        var isHidden = false
        while !input.isOver && number < 8 {
            let body = input.take(Int(input.byte()))
            if cipher.hidesLength && (body.count < 12 || (body.count + 4) % 16 != 0) { isHidden = true }
            let packet = Wire.uint32(body.count) + body + [UInt8](repeating: 0, count: cipher.tagLength)
            withMemory(of: packet) { memory in
                guard let start = memory.baseAddress else { fatalError("a packet has bytes") }
                sealing.seal(start, length: body.count, sequenceNumber: number)
                wire += memory
            }
            number += 1
        }
        let whole = open(wire, cipher, drips: false)
        promise(whole.fault != .integrity || isHidden, "what was sealed with the right key is whole")
        promise(whole == open(wire, cipher, drips: true), "byte by byte the same packets are opened")
    }
}
