package parse

// A ScannedPage is what an OCR engine read on the image of one page.
type ScannedPage struct {
	Lines  []ScannedLine `json:"lines"` // in reading order
	Engine string        `json:"engine"`
	// Confidence is 0–1, the mean of its lines' by their length; 0 where nothing was read.
	Confidence float64 `json:"confidence"`
	// Stopgap says that a better engine, which is there, could not run when the page was read.
	Stopgap bool `json:"stopgap,omitempty"`
}

// A ScannedLine is one line of a [ScannedPage].
type ScannedLine struct {
	Text string `json:"text"`
	// Box is x0, y0, x1, y1, normalised to 0–1 from the top left of the image as it was given, whatever way the text on it is turned.
	Box        [4]float64 `json:"box"`
	Confidence float64    `json:"confidence"` // 0–1
	// Paragraph and Table group lines: those of one number stand together. Table is 0 where the line is in none.
	Paragraph int `json:"paragraph"`
	Table     int `json:"table,omitempty"`
	// Heading is the level of a heading, from 1; 0 where the line is none, or the engine does not tell.
	Heading int `json:"heading,omitempty"`
}

// A Transcript is what a speech engine heard in a recording, or in a part of it.
type Transcript struct {
	DurationS float64   `json:"duration_s"` // of the whole recording, in seconds
	Language  string    `json:"language,omitempty"`
	Segments  []Segment `json:"segments"` // by time
	Engine    string    `json:"engine"`
	// Unread are the parts, in seconds from start to end, that could not be read.
	Unread [][2]float64 `json:"unread,omitempty"`
	// Dropped are the parts of which the engine made up a text that nobody said.
	Dropped [][2]float64 `json:"dropped,omitempty"`
}

// A Segment is a few words of a [Transcript], and when they are said.
type Segment struct {
	StartS     float64 `json:"start_s"`
	EndS       float64 `json:"end_s"`
	Text       string  `json:"text"`
	Confidence float64 `json:"confidence"` // 0–1
	Language   string  `json:"language,omitempty"`
}
