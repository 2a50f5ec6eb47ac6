internal import CLibSSH2
public import CulvertSSH

/// Payload that was committed and that libssh2 did not take, because the keys are being exchanged: it stands in the
/// send scratch, at the address under which libssh2 has begun to write it.
@safe struct Unsent {
    let channel: UInt32
    var start: UnsafeMutableRawPointer
    var count: Int
}

extension LibSSH2Engine {
    public mutating func sendable(_ channel: ChannelNumber) -> Int {
        let state = channels[channel.index]
        guard failure == nil, unsent == nil, state.phase == .open, !state.wantsFinish, !state.closed, !state.violated,
            let handle = unsafe state.handle
        else { return 0 }
        let room = unsafe Self.outputLimit - wire.pointee.waiting
        guard room > 0 else {
            outputWasFull = true
            return 0
        }
        let window = unsafe Int(libssh2_channel_window_write_ex(handle, nil))
        if window == 0, !state.starved {
            channels[channel.index].starved = true
            starvedChannels += 1
        }
        return min(window, room, Self.sendScratchLength)
    }

    public mutating func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots {
        let total = min(maximum, sendable(channel))
        guard total > 0 else { return .none }
        if unsafe sendScratch == nil {
            unsafe sendScratch = .allocate(byteCount: Self.sendScratchLength, alignment: 4096)
        }
        reserved = total
        let count = (total + Self.slotLength - 1) / Self.slotLength
        return unsafe PayloadSlots(
            first: sendScratch, stride: Self.slotLength, slotLength: Self.slotLength,
            lastLength: total - (count - 1) * Self.slotLength, count: count)
    }

    public mutating func commit(_ channel: ChannelNumber, count: Int) throws(SSHError) {
        precondition(count >= 0 && count <= reserved, "more payload committed than was reserved")
        reserved = 0
        if let failure { throw failure }
        guard count > 0, let start = unsafe sendScratch else { return }
        unsafe unsent = Unsent(channel: channel.value, start: start, count: count)
        if try write() { unsent = nil }
    }

    /// Carries an interrupted commit on; when it is done every channel may send again.
    mutating func pumpUnsent() throws(SSHError) {
        guard unsent != nil, try write() else { return }
        unsent = nil
        allMaySend()
    }

    mutating func allMaySend() {
        events.append(.allSendable)
        outputWasFull = false
        guard starvedChannels > 0 else { return }
        starvedChannels = 0
        for index in channels.indices { channels[index].starved = false }
    }

    /// The greatest packet that a peer may ask for is no less than this (as the native engine has it), bytes: each costs
    /// some 60 more. libssh2 does not say what it is; it shows when libssh2 takes less than there is window for.
    static let minimumPacket = 256

    private func isCutSmall(_ handle: OpaquePointer, taken: Int, of count: Int) -> Bool {
        guard taken < min(count, Self.minimumPacket) else { return false }
        return unsafe taken + Int(libssh2_channel_window_write_ex(handle, nil)) >= min(count, Self.minimumPacket)
    }

    /// True when libssh2 has taken all of it, or the channel is over. It takes 32 700 bytes at most in one packet.
    private mutating func write() throws(SSHError) -> Bool {
        while let now = unsent, now.count > 0 {
            guard let handle = unsafe channels[Int(now.channel)].handle else { return true }
            let result = unsafe libssh2_channel_write_ex(
                handle, 0, now.start.assumingMemoryBound(to: CChar.self), now.count)
            if result == Int(LIBSSH2_ERROR_EAGAIN) { return false }
            guard result >= 0 else { throw end(error(Int32(result))) }
            channels[Int(now.channel)].sent &+= UInt64(result)
            guard unsafe !isCutSmall(handle, taken: result, of: now.count) else {
                channels[Int(now.channel)].violated = true
                events.append(.violated(ChannelNumber(now.channel)))
                return true
            }
            unsafe unsent?.start += result
            unsent?.count -= result
        }
        return true
    }

    /// Which channels that had no window have one now: libssh2 says nothing of a WINDOW_ADJUST.
    mutating func findSendable() {
        if outputWasFull, unsent == nil, unsafe wire.pointee.waiting <= Self.outputLimit / 2 { allMaySend() }
        guard starvedChannels > 0, unsent == nil else { return }
        for index in channels.indices where channels[index].starved {
            guard let handle = unsafe channels[index].handle else { continue }
            if unsafe libssh2_channel_window_write_ex(handle, nil) > 0 {
                channels[index].starved = false
                starvedChannels -= 1
                events.append(.sendable(ChannelNumber(UInt32(index))))
            }
        }
    }
}
