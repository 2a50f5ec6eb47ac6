internal import CLinux

/// A table of values that keep their slots: insert gives a slot number, remove gives the value back.
///
/// Invariant: a slot's generation grows at each insertion and removal and fits a token; it is odd while the slot is used,
/// and so never 0 in a token. The memory grows with use, to double each time, and is then moved as a whole: a value's
/// address holds until the next insertion, which nobody makes while he has the value. What a completion asks for is
/// inlinable: without that other modules call it unspecialised, with the element's metadata, many times a turn.
@safe public struct Slab<Element: ~Copyable>: ~Copyable {
    @usableFromInline struct Header: BitwiseCopyable {
        @usableFromInline var generation: UInt32 = 0
        @usableFromInline var nextFree: Int32 = -1
    }

    /// It never has more.
    public let capacity: Int
    /// As many as there is memory for now.
    private var room: Int
    public private(set) var count = 0
    /// Slots from here on have never been used.
    public private(set) var highWater = 0
    @usableFromInline private(set) var values: UnsafeMutablePointer<Element>
    @usableFromInline private(set) var headers: UnsafeMutablePointer<Header>
    private var firstFree: Int32 = -1

    /// What the values take at first, bytes, unless all of them take less.
    private static var firstLength: Int { 64 * 1024 }

    public init(capacity: Int) {
        precondition(capacity > 0 && capacity <= Int(Int32.max), "slot numbers fit a token")
        self.capacity = capacity
        room = min(capacity, max(8, Self.firstLength / MemoryLayout<Element>.stride))
        unsafe values = MappedMemory.reserve(room * MemoryLayout<Element>.stride, for: "a table")
            .bindMemory(to: Element.self, capacity: room)
        unsafe headers = MappedMemory.reserve(room * MemoryLayout<Header>.stride, for: "a table")
            .bindMemory(to: Header.self, capacity: room)
    }

    deinit {
        for slot in 0..<highWater where isUsed(slot) { unsafe (values + slot).deinitialize(count: 1) }
        unsafe MappedMemory.unreserve(values, room * MemoryLayout<Element>.stride)
        unsafe MappedMemory.unreserve(headers, room * MemoryLayout<Header>.stride)
    }

    /// It has as many values as it may have, or as there is memory for.
    public var isFull: Bool { count == room }

    /// The slot; the caller has checked `isFull`.
    public mutating func insert(_ element: consuming Element) -> Int {
        precondition(!isFull, "a full slab is asked for nothing more")
        let slot: Int
        if firstFree >= 0 {
            slot = Int(firstFree)
            firstFree = unsafe headers[slot].nextFree
        } else {
            slot = highWater
            highWater += 1
        }
        unsafe (values + slot).initialize(to: element)
        advanceGeneration(slot)
        count += 1
        if count == room, room < capacity { grow() }
        return slot
    }

    /// Ahead of use, so that no insertion fails. Where there is no memory for more it stays as it is, full; the next
    /// insertion that fills it tries again.
    @inline(never)
    private mutating func grow() {
        let larger = min(capacity, room * 2)
        let (value, header) = (MemoryLayout<Element>.stride, MemoryLayout<Header>.stride)
        guard let moved = unsafe culvert_memory_grow(headers, room * header, larger * header) else { return }
        unsafe headers = moved.bindMemory(to: Header.self, capacity: larger)
        guard let moved = unsafe culvert_memory_grow(values, room * value, larger * value) else {
            guard let back = unsafe culvert_memory_grow(headers, larger * header, room * header) else {
                preconditionFailure("memory may always become smaller")
            }
            return unsafe headers = back.bindMemory(to: Header.self, capacity: room)
        }
        unsafe values = moved.bindMemory(to: Element.self, capacity: larger)
        room = larger
    }

    public mutating func remove(_ slot: Int) -> Element {
        precondition(isUsed(slot), "only a used slot is removed")
        // So that whoever compares generations needs not ask whether the slot is used.
        advanceGeneration(slot)
        unsafe headers[slot].nextFree = firstFree
        firstFree = Int32(slot)
        count -= 1
        return unsafe (values + slot).move()
    }

    private mutating func advanceGeneration(_ slot: Int) {
        unsafe headers[slot].generation = (headers[slot].generation &+ 1) & 0xff_ffff
    }

    /// Negative numbers are none of its slots: as unsigned ones they are too large.
    @inlinable func wasUsed(_ slot: Int) -> Bool { UInt(bitPattern: slot) < UInt(bitPattern: highWater) }

    @inlinable public func isUsed(_ slot: Int) -> Bool {
        guard wasUsed(slot) else { return false }
        return unsafe headers[slot].generation & 1 != 0
    }

    /// The generation that tokens of this slot carry.
    @inlinable public func generation(_ slot: Int) -> UInt32 {
        precondition(wasUsed(slot), "only a slot that was used has a generation")
        return unsafe headers[slot].generation
    }

    /// Whether the token's slot still holds the value that it was made for.
    @inlinable public func isCurrent(_ token: Token) -> Bool { isCurrent(token.slot, token.generation) }

    @inlinable func isCurrent(_ slot: Int, _ generation: UInt32) -> Bool {
        guard wasUsed(slot) else { return false }
        return unsafe headers[slot].generation == generation
    }

    public subscript(slot: Int) -> Element {
        @inlinable unsafeAddress {
            precondition(isUsed(slot), "only a used slot is looked at")
            return unsafe UnsafePointer(values + slot)
        }
        @inlinable unsafeMutableAddress {
            precondition(isUsed(slot), "only a used slot is looked at")
            return unsafe values + slot
        }
    }
}

/// What a slab of named elements calls one of them: the slot, and the generation that tells the element from those that
/// had the slot before. A name that was kept too long names nothing; it never names a successor.
public protocol SlabID: Hashable, Sendable, BitwiseCopyable {
    var slot: Int32 { get }
    var generation: UInt32 { get }
    init(slot: Int32, generation: UInt32)
}

/// An element whose slab names it by a type of its own, so that no number of another slab's can be taken for it.
public protocol SlabElement: ~Copyable {
    associatedtype ID: SlabID
}

extension Slab where Element: SlabElement & ~Copyable {
    @inlinable public func id(_ slot: Int) -> Element.ID {
        precondition(isUsed(slot), "only what is in a used slot has a name")
        return unsafe Element.ID(slot: Int32(truncatingIfNeeded: slot), generation: headers[slot].generation)
    }

    /// The name that a token was made of, nil when it names nothing any more.
    @inlinable public func id(_ token: Token) -> Element.ID? {
        guard isCurrent(token) else { return nil }
        return Element.ID(slot: Int32(truncatingIfNeeded: token.slot), generation: token.generation)
    }

    @inlinable public func contains(_ id: Element.ID) -> Bool { isCurrent(Int(id.slot), id.generation) }

    public mutating func add(_ element: consuming Element) -> Element.ID { id(insert(element)) }

    public mutating func remove(_ id: Element.ID) -> Element {
        precondition(contains(id), "only what is there is removed")
        return remove(Int(id.slot))
    }

    public subscript(id: Element.ID) -> Element {
        @inlinable unsafeAddress {
            precondition(contains(id), "a name is used while it names something")
            return unsafe UnsafePointer(values + Int(id.slot))
        }
        @inlinable unsafeMutableAddress {
            precondition(contains(id), "a name is used while it names something")
            return unsafe values + Int(id.slot)
        }
    }

    /// The first named element at `slot` or behind it: with `next` one goes through them all, and may remove the one that
    /// one has.
    @inlinable public func first(from slot: Int = 0) -> Element.ID? {
        var slot = slot
        while slot < highWater {
            if isUsed(slot) { return id(slot) }
            slot += 1
        }
        return nil
    }

    @inlinable public func next(after id: Element.ID) -> Element.ID? { first(from: Int(id.slot) + 1) }
}

extension Token {
    @inlinable public init<ID: SlabID>(operation: UInt8, _ id: ID) {
        self.init(operation: operation, slot: Int(id.slot), generation: id.generation)
    }
}
