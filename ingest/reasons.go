package ingest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A sentence says what, why and what to do, in the languages users are spoken to in.
type sentence struct{ en, es string }

// whole are the sentences for documents that cannot be read at all.
var whole = map[parse.Code]sentence{
	parse.Encrypted: {
		"The file is locked with a password. Save a copy without the password in the folder.",
		"El archivo está protegido con contraseña. Guarda en la carpeta una copia sin contraseña.",
	},
	parse.Corrupt: {
		"The file is damaged or is not what its name says. Open it in its own program and save it again, or replace it with a good copy.",
		"El archivo está dañado o no es lo que dice su nombre. Ábrelo con su programa y vuelve a guardarlo, o cámbialo por una copia sana.",
	},
	parse.Empty: {
		"The file holds no text. Nothing needs to be done if it is meant to be empty.",
		"El archivo no contiene texto. Si debe estar vacío, no hay nada que hacer.",
	},
	parse.Unsupported: {
		"This kind of file is not read. Save it as PDF, DOCX, HTML, Markdown or plain text, a picture as JPEG or PNG.",
		"Este tipo de archivo no se lee. Guárdalo como PDF, DOCX, HTML, Markdown o texto; una imagen, como JPEG o PNG.",
	},
	parse.TooLarge: {
		"The file is too large to read. Split it into smaller ones.",
		"El archivo es demasiado grande para leerlo. Divídelo en otros más pequeños.",
	},
	parse.Bomb: {
		"The file unpacks to far more than its size, as files made to do harm do; it was not opened. Save a plain copy if you trust it.",
		"El archivo ocupa, al descomprimirse, muchísimo más que su tamaño, como los hechos para dañar; no se ha abierto. Si te fías de él, guarda una copia normal.",
	},
	parse.Timeout: {
		"Reading the file took too long and was stopped. Save it again or split it; `acervo retry` tries once more.",
		"Leer el archivo llevaba demasiado tiempo y se detuvo. Vuelve a guardarlo o divídelo; `acervo retry` lo intenta de nuevo.",
	},
	parse.Crashed: {
		"The file made its reader break down; it is left aside so that the rest goes on. Save it again in another format; `acervo retry` tries once more.",
		"El archivo hizo fallar a su lector; se ha apartado para que lo demás siga. Guárdalo en otro formato; `acervo retry` lo intenta de nuevo.",
	},
	parse.NeedsOCR: {
		"The pages are images without text. They can be found once text recognition (OCR) is set up, or as a PDF with a text layer.",
		"Las páginas son imágenes sin texto. Se podrán encontrar cuando haya reconocimiento de texto (OCR), o como PDF con capa de texto.",
	},
	parse.EngineMissing: {
		"A program that this kind of file needs is missing, or cannot run now. `acervo setup ocr` installs those for scans and HEIC photos, `acervo setup speech` those for recordings; `acervo doctor` says which one and what to do.",
		"Falta un programa que este tipo de archivo necesita, o no puede funcionar ahora. `acervo setup ocr` instala los de escaneos y fotos HEIC, `acervo setup speech` los de grabaciones; `acervo doctor` dice cuál es y qué hacer.",
	},
	parse.NotReadable: {
		"The file cannot be opened. Check its permissions and that no other program holds it; it is tried again by itself.",
		"No se puede abrir el archivo. Comprueba sus permisos y que ningún otro programa lo retenga; se volverá a intentar solo.",
	},
}

// partly are the sentences for documents of which some pages are missing; %p stands for them.
var partly = map[parse.Code]sentence{
	parse.NeedsOCR: {
		"These pages are images without text: %p. They can be found once text recognition (OCR) is set up; the rest is searchable.",
		"Estas páginas son imágenes sin texto: %p. Se podrán encontrar cuando haya reconocimiento de texto (OCR); el resto ya se puede buscar.",
	},
	parse.EngineMissing: {
		"Text recognition (OCR), which these pages need, cannot run now: %p. `acervo doctor` says why; they are read once it is back, and the rest is searchable.",
		"El reconocimiento de texto (OCR), que estas páginas necesitan, no puede funcionar ahora: %p. `acervo doctor` dice por qué; se leerán cuando vuelva, y el resto ya se puede buscar.",
	},
	parse.NotReadable: {
		"These pages cannot be read now: %p. They are tried again by themselves; the rest is searchable.",
		"Estas páginas no se pueden leer ahora: %p. Se volverán a intentar solas; el resto ya se puede buscar.",
	},
	parse.Corrupt: {
		"These pages could not be read: %p. The rest is searchable; a good copy of the file would mend it.",
		"Estas páginas no se han podido leer: %p. El resto ya se puede buscar; una copia sana del archivo lo arreglaría.",
	},
}

// unrecognised are the sentences for scans that OCR could not read, whole or in part.
var unrecognised, partlyUnrecognised = sentence{
	"Text recognition (OCR) failed on the file's pages; the pictures may be damaged or too large. A better scan would mend it, and `acervo retry` tries once more.",
	"El reconocimiento de texto (OCR) ha fallado en las páginas del archivo; puede que las imágenes estén dañadas o sean demasiado grandes. Un escaneo mejor lo arreglaría, y `acervo retry` lo intenta de nuevo.",
}, sentence{
	"Text recognition (OCR) failed on these pages: %p. The rest is searchable; a better scan would mend it, and `acervo retry` tries them once more.",
	"El reconocimiento de texto (OCR) ha fallado en estas páginas: %p. El resto ya se puede buscar; un escaneo mejor lo arreglaría, y `acervo retry` las intenta de nuevo.",
}

// unheard are the sentences for recordings of which parts are missing; %s stands for them.
var unheard = map[parse.Code]sentence{
	parse.Corrupt: {
		"These parts of the recording could not be read: %s. The rest is searchable; a good copy of the file would mend it, and `acervo retry` tries them once more.",
		"Estas partes de la grabación no se han podido leer: %s. El resto ya se puede buscar; una copia sana del archivo lo arreglaría, y `acervo retry` las intenta de nuevo.",
	},
	parse.EngineMissing: {
		"Speech recognition, which these parts of the recording need, cannot run now: %s. `acervo doctor` says why; they are heard once it is back, and the rest is searchable.",
		"El reconocimiento de voz, que estas partes de la grabación necesitan, no puede funcionar ahora: %s. `acervo doctor` dice por qué; se oirán cuando vuelva, y el resto ya se puede buscar.",
	},
}

// In returns what is wrong, and what to do, in a language: es, or else English.
func (p Problem) In(lang string) string {
	s, ok := partly[p.Code]
	if !ok || len(p.Pages) == 0 {
		s = whole[p.Code]
	}
	switch {
	case len(p.Seconds) > 0:
		s = unheard[p.Code]
	case p.Tried && len(p.Pages) > 0:
		s = partlyUnrecognised
	case p.Tried:
		s = unrecognised
	}
	text := s.en
	if lang == "es" {
		text = s.es
	}
	return strings.NewReplacer("%p", PageList(p.Pages), "%s", timeList(p.Seconds)).Replace(text)
}

// timeList writes parts of a recording as "03:00–04:10, 52:00–53:00". What is long is cut.
func timeList(parts [][2]float64) string {
	var times []string
	for _, p := range parts[:min(len(parts), 20)] {
		times = append(times, Clock(p[0])+"–"+Clock(math.Ceil(p[1])))
	}
	list := strings.Join(times, ", ")
	if len(parts) > len(times) {
		list += "…"
	}
	return list
}

// Clock writes a time in a recording as 08:30, or as 1:08:30 from an hour on.
func Clock(seconds float64) string {
	s := int(seconds)
	if s < 3600 {
		return fmt.Sprintf("%02d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// PageList writes pages as "1, 3-5". What is long is cut.
func PageList(pages []int) string {
	var parts []string
	for i := 0; i < len(pages); {
		j := i
		for j+1 < len(pages) && pages[j+1] == pages[j]+1 {
			j++
		}
		part := strconv.Itoa(pages[i])
		if j > i {
			part += "-" + strconv.Itoa(pages[j])
		}
		if parts = append(parts, part); len(parts) == 20 && j+1 < len(pages) {
			return strings.Join(parts, ", ") + "…"
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

func newProblem(code parse.Code, detail string, pages ...int) *Problem {
	p := &Problem{Code: code, Detail: detail, Pages: pages}
	p.Message = p.In("en")
	return p
}

// newUnread is the problem of a recording of which parts could not be read.
func newUnread(code parse.Code, parts [][2]float64) *Problem {
	p := &Problem{Code: code, Seconds: parts}
	p.Message = p.In("en")
	return p
}

// retried sets when a lack of the machine is tried again. What is wrong with a
// file is not tried again before it changes or the user asks.
func (p *Problem) retried(now time.Time, retries int) *Problem {
	if p.Code == parse.NotReadable || p.Code == parse.EngineMissing {
		p.retryLater(now, retries)
	}
	return p
}

// maxRetry is the longest time until something is tried again.
const maxRetry = time.Hour

// retryLater sets when to try again, later each time.
func (p *Problem) retryLater(now time.Time, retries int) {
	at := now.Add(min(maxRetry, time.Minute<<min(retries, 6)))
	p.RetryAt = &at
}
